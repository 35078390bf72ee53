import { defineCommand, idsOf } from '../../command.ts';
import { readUpdateOptions, resourceOptions } from '../../options/resources.ts';

/** `tsrun update`: changes the limits of a container. */
export const command = defineCommand({
  name: 'update',
  description: 'change the limits of a container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'running', 'paused'])],
  options: resourceOptions,
  examples: [
    ['tsrun update --memory 512M --pids-limit 100 web', 'limit memory and processes'],
    [`echo '{"cpu":{"shares":512}}' | tsrun update --resources - web`, 'the same way as config.json writes it'],
  ],
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    await operations.updateContainer(runtime, readUpdateOptions(values, { id, surroundings }));
    return 0;
  },
});
