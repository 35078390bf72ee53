import { TsrunError } from '../errors.ts';
import { createLog, type LogDetails, type LogSink } from '../log.ts';
import { escapeControls } from '../util/escape-controls.ts';
import { shorten } from '../util/shorten.ts';

/** Where a failure is told. */
export interface FailureReport {
  /** Of the command; undefined when its options could not even be read. */
  readonly log: LogSink | undefined;
  readonly writeStderr: (text: string) => void;
  /** Standard error is a terminal. */
  readonly isTerminal: boolean;
}

/** Tells what a command has thrown. As runc: a log file has the failure for the caller, and standard error has it for people. */
export function reportFailure(failure: unknown, { log: own, writeStderr, isTerminal }: FailureReport): void {
  const log = own ?? createLog({ format: 'text', level: 'error', writeStderr, isTerminal });
  const message = describeFailure(failure);
  log.error(message, failure instanceof TsrunError ? detailsOf(failure) : {});
  if (log.isElsewhere) writeStderr(`${escapeControls(shorten(message))}\n`);
}

// For programs that read the log: `path` is the place in config.json.
function detailsOf({ code, errno, step, pointer, issues, hint }: TsrunError): LogDetails {
  const path = pointer ?? step?.pointer ?? issues[0]?.pointer;
  return {
    code,
    ...(step !== undefined && { step: step.label }),
    ...(path !== undefined && { path }),
    ...(errno !== undefined && { errno }),
    ...(hint !== undefined && { hint }),
  };
}

function describeFailure(failure: unknown): string {
  if (failure instanceof TsrunError) return failure.message;
  return failure instanceof Error
    ? `bug in tsrun: ${failure.stack ?? failure.message}`
    : `bug in tsrun: ${String(failure)}`;
}
