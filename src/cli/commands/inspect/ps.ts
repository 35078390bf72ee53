import { defineCommand, idsOf } from '../../command.ts';
import { formatPids } from '../../output.ts';
import { listFormat } from '../../options/format.ts';
import { readListFormat } from '../../options/values.ts';

/** `tsrun ps`: the processes of a container, as pids or as ps(1) shows them. */
export const command = defineCommand({
  name: 'ps',
  description: 'list the processes of a container',
  usage: 'ID [PS-OPTION...]',
  positionals: { minimum: 1, maximum: Number.POSITIVE_INFINITY, literalFrom: 0 },
  offers: [idsOf(['created', 'running', 'paused'])],
  advice: '"tsrun list" lists the containers',
  options: {
    format: listFormat,
  },
  examples: [['tsrun ps web -o pid,user,args', 'with the columns of ps(1)']],
  async run({ values, positionals: [id = '', ...psArguments] }, { runtime, surroundings, operations }) {
    if (readListFormat(values.format) === 'json') {
      surroundings.writeStdout(formatPids(await operations.listProcesses(runtime, id)));
    } else {
      surroundings.writeStdout(await operations.showProcesses(runtime, { id, psArguments }));
    }
    return 0;
  },
});
