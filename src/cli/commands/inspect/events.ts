import { defineCommand, idsOf } from '../../command.ts';
import { formatEvent } from '../../event-output.ts';
import { readDuration } from '../../options/values.ts';

/** `tsrun events`: a JSON document a line, until the container ends or nobody reads any more. */
export const command = defineCommand({
  name: 'events',
  description: 'print statistics and events of a container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'running', 'paused'])],
  options: {
    interval: { type: 'string', placeholder: 'TIME', default: '5s', description: 'time between two statistics' },
    stats: { type: 'boolean', description: 'print the statistics once and exit' },
  },
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    const intervalMs = readDuration(values.interval ?? '5s', 'interval');
    if (values.stats === true) {
      const data = await operations.containerStats(runtime, id);
      surroundings.writeStdout(formatEvent({ type: 'stats', id, data }));
      return 0;
    }
    for await (const event of await operations.containerEvents(runtime, { id, intervalMs })) {
      if (!surroundings.writeStdout(formatEvent(event))) break;
    }
    return 0;
  },
});
