import { defineCommand } from '../../command.ts';
import { formatListIds, formatListJson, formatListTable } from '../../output.ts';
import { filterOption, readFilters } from '../../options/filter.ts';
import { listFormat } from '../../options/format.ts';
import { readListFormat } from '../../options/values.ts';

/** `tsrun list`: every container below the root. */
export const command = defineCommand({
  name: 'list',
  description: 'list the containers below the root',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {
    format: listFormat,
    filter: filterOption,
    quiet: { type: 'boolean', short: 'q', description: 'print only the ids' },
  },
  examples: [
    ['tsrun list --filter status=running', 'those that run'],
    ['tsrun list --format json | jq', 'for programs'],
  ],
  async run({ values }, { global, runtime, surroundings, operations }) {
    const format = readListFormat(values.format);
    const passes = readFilters(values.filter);
    const all = await operations.listContainers(runtime, { requireRoot: global.isRootGiven });
    const containers = all.filter(passes);
    if (values.quiet === true) surroundings.writeStdout(formatListIds(containers));
    else if (format === 'json') surroundings.writeStdout(formatListJson(containers));
    else surroundings.writeStdout(formatListTable(containers));
    return 0;
  },
});
