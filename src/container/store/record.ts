import { describeIssues, TsrunError, type Issue } from '../../errors.ts';
import type { ContainerRecord } from '../../spec/generated/record.ts';
import { validateRecord } from '../../spec/validate-record.ts';

export type { ContainerRecord, LayerReference, ResctrlReference, RootfsCover } from '../../spec/generated/record.ts';

/**
 * The record of a container from the JSON of its state file, which may have been written by anyone who could write there: only the
 * shape that tsrun writes is used (schemas/record.schema.json). Errors: `state`.
 */
export function requireRecord(value: unknown, id: string, file: string): ContainerRecord {
  const issues = validateRecord(value);
  const record = value as ContainerRecord;
  const wrong = issues.length > 0 ? issues : mismatches(record, id);
  if (wrong.length === 0) return record;
  const title = `read ${JSON.stringify(file)}: it is no state of container ${JSON.stringify(id)}`;
  throw new TsrunError('state', describeIssues(title, wrong), { issues: wrong });
}

/** What a schema cannot say. */
function mismatches({ id, cgroup }: ContainerRecord, wanted: string): Issue[] {
  const issues: Issue[] = [];
  if (id !== wanted)
    issues.push({ pointer: '/id', message: `is ${JSON.stringify(id)}, wanted ${JSON.stringify(wanted)}` });
  const { manager, unit } = cgroup;
  if ((manager === 'systemd') === (unit !== undefined)) return issues;
  const found = unit === undefined ? 'lacks the property "unit"' : 'has the property "unit"';
  return [...issues, { pointer: '/cgroup', message: `${found} with the manager ${JSON.stringify(manager)}` }];
}
