import type { RuntimeOptions } from '../../../container/store/options.ts';
import { TsrunError } from '../../../errors.ts';
import { wording } from '../../../util/wording.ts';
import { ArgumentError } from '../../argument-error.ts';
import { defineCommand, idsOf } from '../../command.ts';
import type { Operations } from '../../operations.ts';
import { filterOption, readFilters } from '../../options/filter.ts';

/** `tsrun delete`: removes what is left of a container, or of many. */
export const command = defineCommand({
  name: 'delete',
  description: 'remove a container and all it holds',
  usage: 'ID | --all',
  positionals: { minimum: 0, maximum: 1 },
  offers: [idsOf(['created', 'stopped'], 'force')],
  options: {
    force: { type: 'boolean', short: 'f', description: 'kill it first if it still runs' },
    strict: { type: 'boolean', description: 'refuse a created container too, as the specification says' },
    regex: { type: 'boolean', short: 'r', description: 'ID is a regular expression; every container that matches' },
    all: { type: 'boolean', short: 'a', description: 'every container below the root, in place of an ID' },
    filter: filterOption,
  },
  examples: [
    ['tsrun delete --force web', 'end it first'],
    ['tsrun delete --all --filter status=stopped', 'clear away what has ended'],
  ],
  async run({ values, positionals: [id] }, { runtime, operations }) {
    const how = { force: values.force === true, ...(values.strict === true && { strict: true }) };
    if (values.all === true) {
      if (id !== undefined || values.regex === true) throw new ArgumentError('"--all" is for no ID and no "--regex"');
      await deleteAll({ runtime, operations }, how, values.filter);
      return 0;
    }
    if (id === undefined) throw new ArgumentError(`${wording.wrongCount('delete', 'exactly 1')}, or "--all"`);
    if (values.filter.length > 0) throw new ArgumentError('"--filter" needs "--all"');
    await operations.deleteContainer(runtime, { id, ...how, ...(values.regex === true && { isPattern: true }) });
    return 0;
  },
});

/** One that cannot be deleted keeps the others not from their turn. Errors: `status` when there was one. */
async function deleteAll(
  { runtime, operations }: { readonly runtime: RuntimeOptions; readonly operations: Operations },
  how: { readonly force: boolean; readonly strict?: boolean },
  filters: readonly string[],
): Promise<void> {
  const passes = readFilters(filters);
  const containers = (await operations.listContainers(runtime, { requireRoot: false })).filter(passes);
  let kept = 0;
  for (const { id } of containers) {
    try {
      await operations.deleteContainer(runtime, { id, ...how });
    } catch (error) {
      // Somebody else may have been faster.
      if (!(error instanceof TsrunError)) throw error;
      if (error.code === 'not-found') continue;
      runtime.log.warning(`container ${JSON.stringify(id)}: ${error.message}`);
      kept += 1;
    }
  }
  if (kept > 0) throw new TsrunError('status', `${kept} of ${containers.length} containers were not deleted`);
}
