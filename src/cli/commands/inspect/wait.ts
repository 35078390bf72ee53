import { remedies } from '../../../util/remedies.ts';
import { defineCommand, idsOf } from '../../command.ts';
import { UNKNOWN_END } from '../../help-texts.ts';

/** `tsrun wait`: the exit codes of containers, each when it has ended. */
export const command = defineCommand({
  name: 'wait',
  description: 'wait until containers have ended, and print their exit codes',
  usage: 'ID [ID...]',
  positionals: { minimum: 1, maximum: Number.POSITIVE_INFINITY, repeats: true },
  offers: [idsOf(['creating', 'created', 'running', 'paused', 'stopped'])],
  options: {},
  examples: [
    ['tsrun wait web', 'print the exit code of web when it has ended'],
    ['code=$(tsrun wait web)', 'for scripts'],
  ],
  notes: [
    'A line for each ID, in their order: the exit code of its first process, 128 + N after signal N. A container that has ended already ' +
      'is answered at once, as long as it is not deleted. The kernel tells an exit code to the parent of a process alone: when that was ' +
      'another program, "wait" has to have begun before the end (from Linux 6.15 on; before, before the parent has taken it). ' +
      `What nobody can tell any more is an error, and the exit code ${UNKNOWN_END}.`,
  ],
  async run({ positionals: ids }, { runtime, log, surroundings, operations }) {
    // All at once: the end of one must not be missed for another.
    const waits = ids.map((id) => operations.waitForContainer(runtime, id));
    const all = Promise.all(waits);
    all.catch(() => undefined);
    let code = 0;
    for (const [index, wait] of waits.entries()) {
      // One that is not there is told at once.
      const ended = await Promise.race([wait, all.then(() => wait)]);
      if (ended !== undefined) {
        surroundings.writeStdout(`${ended}\n`);
        continue;
      }
      const what = 'it has ended, and its exit code was told to its parent alone, which was not tsrun';
      log.error(`wait for container ${JSON.stringify(ids[index])}: ${what}; ${remedies.knownEnd}`);
      code = UNKNOWN_END;
    }
    return code;
  },
});
