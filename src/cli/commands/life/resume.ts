import { defineCommand, idsOf } from '../../command.ts';

/** `tsrun resume`: lets the processes of a paused container go on. */
export const command = defineCommand({
  name: 'resume',
  description: 'let the processes of a paused container go on',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['paused'])],
  options: {},
  async run({ positionals: [id = ''] }, { runtime, operations }) {
    await operations.resumeContainer(runtime, id);
    return 0;
  },
});
