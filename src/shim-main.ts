import { writeSync } from 'node:fs';
import { takeLaunched } from './cli/launched.ts';
import { processSurroundings } from './cli/surroundings.ts';
import { versionText } from './cli/version.ts';
import { readBuildId, readVersion } from './host/version.ts';
import { answerThrough, isAnswering, startApart } from './shim/bootstrap/apart.ts';
import { describeFailure, runShim } from './shim/bootstrap/run.ts';

/**
 * Entry of `containerd-shim-tsrun-v2`. Whoever calls it waits for an answer, and for the end of the process; the shim stays. So there are
 * two: the one that was called starts the other and passes on what that says, first of all its exit code. With the executable that is the
 * launcher.
 */
void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(args: readonly string[]): Promise<number> {
  const launched = takeLaunched(process.env);
  const answers = launched !== undefined || isAnswering(process.env);
  if (!answers && args.includes('start')) return await startApart(process.argv.slice(1), process.env);
  const answer = (said: string | Uint8Array): void => {
    if (answers) answerThrough(0, said);
    else writeSync(1, said as Uint8Array);
  };
  const complain = (message: string): void => {
    writeSync(2, `${message}\n`);
  };
  try {
    const openFiles = processSurroundings(launched).openFiles();
    await runShim(args, {
      environment: { ...process.env },
      ...(typeof openFiles === 'object' && { openFiles }),
      answer,
      complain,
      versionText: versionText(readVersion()),
      build: readBuildId(),
      ...(launched !== undefined && { again: { ...launched.again, args } }),
    });
    return 0;
  } catch (error) {
    complain(describeFailure(error));
    if (answers) answerThrough(1, '');
    return 1;
  }
}
