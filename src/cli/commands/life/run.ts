import { defineCommand } from '../../command.ts';
import { createOptions, readCreateOptions } from '../../options/create.ts';

/** `tsrun run`: create and start; unless detached, the exit code is the program's. */
export const command = defineCommand({
  name: 'run',
  description: 'create and start a container, and wait for it',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  advice: 'it takes a bundle (--bundle DIR) and no image; what runs in it, config.json says',
  options: {
    ...createOptions,
    detach: { type: 'boolean', short: 'd', description: 'do not wait for the program' },
    keep: { type: 'boolean', description: 'do not remove the container when the program has ended' },
  },
  examples: [
    ['tsrun run --bundle /containers/web web', 'run a bundle, and wait for its program'],
    ['tsrun run --detach web && tsrun state web', 'run that of this directory without waiting'],
  ],
  failurePrefix: 'tsrun run failed: ',
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    const options = readCreateOptions(values, { id, surroundings });
    return operations.runContainer(runtime, {
      ...options,
      detach: values.detach === true,
      keep: values.keep === true,
      forwardSignals: true,
      subreaper: values['no-subreaper'] !== true,
    });
  },
});
