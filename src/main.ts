import { prepareInvocation, type Invocation } from './cli/invocation.ts';
import { operations } from './cli/operations.ts';
import { takeLaunched } from './cli/launched.ts';
import { processSurroundings, requireExactArguments } from './cli/surroundings.ts';
import { isTerminal, leaveTerminals } from './cli/terminal.ts';
import { writeText } from './cli/write-text.ts';
import { TsrunError } from './errors.ts';
import { createLog, type LogDetails } from './log.ts';
import { escapeControls } from './util/escape-controls.ts';
import { shorten } from './util/shorten.ts';

// Whatever handles are still open: everything was written synchronously, and a caller waits for this exit.
void main(process.argv.slice(2)).then((code) => {
  leaveTerminals();
  process.exit(code);
});

async function main(args: readonly string[]): Promise<number> {
  let invocation: Invocation | undefined;
  try {
    const launched = takeLaunched(process.env);
    requireExactArguments(args);
    invocation = await prepareInvocation(args, {
      surroundings: processSurroundings(launched),
      operations,
      writeStderr,
      isTerminal: isTerminal(2),
    });
    return await invocation.run();
  } catch (failure) {
    reportFailure(failure, invocation);
    return invocation?.exitCodeOf(failure) ?? 1;
  }
}

// As runc: a log file has the failure for the caller, and standard error has it for people.
function reportFailure(failure: unknown, invocation: Invocation | undefined): void {
  const log = invocation?.log ?? createLog({ format: 'text', level: 'error', writeStderr, isTerminal: isTerminal(2) });
  const message = describeFailure(failure);
  log.error(message, failure instanceof TsrunError ? detailsOf(failure) : {});
  if (log.isElsewhere) writeStderr(`${escapeControls(shorten(message))}\n`);
}

// For programs that read the log: `path` is the place in config.json.
function detailsOf({ code, errno, step }: TsrunError): LogDetails {
  return {
    code,
    ...(step !== undefined && { phase: step.label }),
    ...(step?.pointer !== undefined && { path: step.pointer }),
    ...(errno !== undefined && { errno }),
  };
}

function describeFailure(failure: unknown): string {
  if (failure instanceof TsrunError) return failure.message;
  return failure instanceof Error
    ? `bug in tsrun: ${failure.stack ?? failure.message}`
    : `bug in tsrun: ${String(failure)}`;
}

function writeStderr(text: string): void {
  try {
    writeText(2, text);
  } catch {
    // Standard error is closed or full; the exit code still tells.
  }
}
