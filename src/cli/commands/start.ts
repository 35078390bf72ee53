import { defineCommand } from '../command.ts';

/** `tsrun start`: runs the program of a created container. */
export const command = defineCommand({
  name: 'start',
  description: 'run the program of a created container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  options: {},
  async run({ positionals: [id = ''] }, { runtime, operations }) {
    await operations.startContainer(runtime, id);
    return 0;
  },
});
