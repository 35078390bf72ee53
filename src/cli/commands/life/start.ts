import { defineCommand, idsOf } from '../../command.ts';
import { readNotifySocket } from '../../service-manager.ts';

/** `tsrun start`: runs the program of a created container. */
export const command = defineCommand({
  name: 'start',
  description: 'run the program of a created container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created'])],
  options: {},
  async run({ positionals: [id = ''] }, { runtime, surroundings, operations }) {
    const notifySocket = readNotifySocket(surroundings);
    const options = { ...surroundings.leaving, ...(notifySocket !== undefined && { notifySocket }) };
    await operations.startContainer(runtime, id, options);
    return 0;
  },
});
