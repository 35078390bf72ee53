import { TsrunError } from '../../../errors.ts';
import { nearestSignal, parseSignal } from '../../../util/signals.ts';
import { wording } from '../../../util/wording.ts';
import { defineCommand, idsOf } from '../../command.ts';

/** `tsrun kill`: sends a signal, TERM unless told otherwise. */
export const command = defineCommand({
  name: 'kill',
  description: 'send a signal to a container',
  usage: 'ID [SIGNAL]',
  positionals: { minimum: 1, maximum: 2 },
  offers: [idsOf(['created', 'running', 'paused']), { words: 'signals' }],
  options: {
    all: { type: 'boolean', short: 'a', description: 'to every process of the container' },
    regex: { type: 'boolean', short: 'r', description: 'ID is a regular expression; every container that matches' },
  },
  examples: [
    ['tsrun kill web', 'ask the program to end (TERM)'],
    ['tsrun kill --all web KILL', 'end every process'],
  ],
  async run({ values, positionals: [id = '', signal = 'TERM'] }, { runtime, operations }) {
    await operations.killContainer(runtime, {
      id,
      signal: readSignal(signal),
      all: values.all === true,
      ...(values.regex === true && { isPattern: true }),
    });
    return 0;
  },
});

function readSignal(text: string): number {
  const signal = parseSignal(text);
  if (signal !== undefined) return signal;
  const nearest = nearestSignal(text);
  const advice =
    nearest === undefined ? 'wanted a name such as TERM, or a number' : `did you mean ${JSON.stringify(nearest)}?`;
  throw new TsrunError('usage', `${wording.unknownSignal} ${JSON.stringify(text)}; ${advice}`);
}
