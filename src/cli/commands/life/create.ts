import { defineCommand } from '../../command.ts';
import { createOptions, readCreateOptions } from '../../options/create.ts';

/** `tsrun create`: everything up to the start of the program. */
export const command = defineCommand({
  name: 'create',
  description: 'create a container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  advice: 'it takes a bundle (--bundle DIR) and no image; what runs in it, config.json says',
  options: createOptions,
  examples: [
    ['tsrun create --bundle /containers/web web && tsrun start web', 'make a container, and run its program later'],
  ],
  failurePrefix: 'tsrun create failed: ',
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    const options = readCreateOptions(values, { id, surroundings });
    await operations.createContainer(runtime, options);
    return 0;
  },
});
