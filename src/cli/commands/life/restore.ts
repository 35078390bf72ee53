import { readRestoreOptions, restoreOptions } from '../../options/checkpoint.ts';
import { defineCommand } from '../../command.ts';

/** `tsrun restore`: lets a saved container go on; unless detached, the exit code is the program's. */
export const command = defineCommand({
  name: 'restore',
  description: 'let a container that was saved go on',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  options: restoreOptions,
  examples: [
    ['tsrun restore --detach --bundle /containers/web --image-path /saved/web web', 'let it go on without waiting'],
  ],
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    return operations.restoreContainer(runtime, readRestoreOptions(values, { id, surroundings }));
  },
});
