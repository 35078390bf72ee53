import { defineCommand } from '../../command.ts';
import { formatPids } from '../../output.ts';
import { readListFormat } from '../../options/values.ts';

/** `tsrun ps`: the processes of a container, as pids or as ps(1) shows them. */
export const command = defineCommand({
  name: 'ps',
  description: 'list the processes of a container',
  usage: 'ID [PS-OPTION...]',
  positionals: { minimum: 1, maximum: Number.POSITIVE_INFINITY, literalFrom: 0 },
  options: {
    format: { type: 'string', short: 'f', placeholder: 'FORMAT', description: 'table or json (default: table)' },
  },
  async run({ values, positionals: [id = '', ...psArguments] }, { runtime, surroundings, operations }) {
    if (readListFormat(values.format) === 'json') {
      surroundings.writeStdout(formatPids(await operations.listProcesses(runtime, id)));
    } else {
      surroundings.writeStdout(await operations.showProcesses(runtime, { id, psArguments }));
    }
    return 0;
  },
});
