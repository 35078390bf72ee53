import { defineCommand, idsOf } from '../../command.ts';

/** `tsrun pause`: stops all processes of a container where they are. */
export const command = defineCommand({
  name: 'pause',
  description: 'stop all processes of a container where they are',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'running'])],
  options: {},
  async run({ positionals: [id = ''] }, { runtime, operations }) {
    await operations.pauseContainer(runtime, id);
    return 0;
  },
});
