import { defineCommand, idsOf } from '../../command.ts';
import { listFormat } from '../../options/format.ts';
import { readDuration, readListFormat } from '../../options/values.ts';
import { formatUsageJson, formatUsageTable } from '../../usage-output.ts';

/** To the first line of the terminal, and nothing behind what stands there (ECMA-48: CUP, ED). */
const FROM_THE_TOP = '\u001b[H\u001b[J';

/** `tsrun stats`: what containers use, again and again. */
export const command = defineCommand({
  name: 'stats',
  description: 'show what containers use, until interrupted',
  usage: '[ID...]',
  positionals: { minimum: 0, maximum: Number.POSITIVE_INFINITY, repeats: true },
  offers: [idsOf(['created', 'running', 'paused'])],
  options: {
    format: listFormat,
    interval: { type: 'string', placeholder: 'TIME', default: '1s', description: 'time between two looks' },
    'no-stream': { type: 'boolean', description: 'show it once, after one interval, and exit' },
  },
  examples: [
    ['tsrun stats', 'all containers that run, refreshed on a terminal'],
    ['tsrun stats --no-stream --format json web', 'once, for programs'],
  ],
  notes: [
    'CPU % is of one processor and of the time between two looks; memory is without the page cache that the kernel would give up first, ' +
      'and the limit that of the host where the container has none. NET is of the network namespace of a container that has its own.',
  ],
  async run({ values, positionals: ids }, { runtime, surroundings, operations }) {
    const isJson = readListFormat(values.format) === 'json';
    const intervalMs = readDuration(values.interval ?? '1s', 'interval');
    const once = values['no-stream'] === true;
    const isRefreshed = !isJson && !once && surroundings.columns?.() !== undefined;
    for await (const all of await operations.containerUsage(runtime, { ids, intervalMs, once })) {
      const text = isJson ? formatUsageJson(all) : formatUsageTable(all);
      if (!surroundings.writeStdout(isRefreshed ? `${FROM_THE_TOP}${text}` : text)) break;
    }
    return 0;
  },
});
