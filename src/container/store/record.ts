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
  if (hasFittingUnit(cgroup)) return issues;
  const { manager, unit } = cgroup;
  const found = unit === undefined ? 'lacks the property "unit"' : 'has the property "unit"';
  return [...issues, { pointer: '/cgroup', message: `${found} with the manager ${JSON.stringify(manager)}` }];
}

function hasFittingUnit({ manager, unit }: ContainerRecord['cgroup']): boolean {
  return (manager === 'systemd') === (unit !== undefined);
}

/**
 * What is whole of a record that is damaged: its init and its cgroups, each only where nothing is wrong with it, and with the id. One of
 * another container says nothing of this.
 */
export function salvageRecord(text: string | undefined, id: string): Pick<Partial<ContainerRecord>, 'init' | 'cgroup'> {
  let value: Partial<ContainerRecord> | null;
  try {
    value = JSON.parse(text ?? '') as Partial<ContainerRecord> | null;
  } catch {
    return {};
  }
  const issues = validateRecord(value);
  const isWhole = (member: 'id' | 'init' | 'cgroup'): boolean =>
    typeof value === 'object' && value?.[member] !== undefined && !issues.some(({ pointer }) => isIn(pointer, member));
  if (!isWhole('id') || value?.id !== id) return {};
  const { init, cgroup } = value;
  return {
    ...(isWhole('init') && init !== undefined && { init }),
    ...(isWhole('cgroup') && cgroup !== undefined && hasFittingUnit(cgroup) && { cgroup }),
  };
}

function isIn(pointer: string, member: string): boolean {
  return pointer === `/${member}` || pointer.startsWith(`/${member}/`);
}
