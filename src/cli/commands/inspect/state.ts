import { defineCommand, idsOf } from '../../command.ts';
import { formatState } from '../../output.ts';

/** `tsrun state`: the state document of runtime.md, and a little more, as runc prints it. */
export const command = defineCommand({
  name: 'state',
  description: 'print the state of a container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'running', 'paused', 'stopped'])],
  options: {},
  async run({ positionals: [id = ''] }, { runtime, surroundings, operations }) {
    surroundings.writeStdout(formatState(await operations.readStatus(runtime, id)));
    return 0;
  },
});
