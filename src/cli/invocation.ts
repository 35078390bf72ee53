import { TsrunError } from '../errors.ts';
import { createLog, type LogSink } from '../log.ts';
import { wording } from '../util/wording.ts';
import { ArgumentError } from './argument-error.ts';
import type { Command, CommandContext, CommandEntry } from './command.ts';
import { commandTable } from './command-table.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { nearestName } from '../util/nearest-name.ts';
import type { Operations } from './operations.ts';
import { globalOptionTable, readCommandLine, type GlobalOptions, type SplitCommandLine } from './options/global.ts';
import { readArguments } from './read-arguments.ts';
import type { Surroundings } from './surroundings.ts';
import { readVersion } from '../host/version.ts';
import { versionText } from './version.ts';

/** What an invocation works with. */
export interface InvocationParts {
  readonly surroundings: Surroundings;
  readonly operations: Operations;
  readonly writeStderr: (text: string) => void;
  /** Of a caller that is not this process, for files that are made. */
  readonly umask?: number;
  /** Standard error is a terminal. Default: false. */
  readonly isTerminal?: boolean;
  /** Looks at the command line before anything is done for it; what it throws ends the invocation. */
  readonly review?: (line: SplitCommandLine) => void;
  /** Stands between the command and its log. */
  readonly wrapLog?: (log: LogSink) => LogSink;
}

/** A command line of which the global options are read, so that a failure can be reported where the caller looks. */
export interface Invocation {
  /** The caller disposes of it. */
  readonly log: LogSink;
  /** Runs the command and returns the exit code. Errors: whatever the command throws. */
  run(): Promise<number>;
  /** The exit code for what run() has thrown. */
  exitCodeOf(failure: unknown): number;
}

/**
 * An invocation for a command line without the names of Node and of the script.
 *
 * Errors: `usage`, `host`. Effects: opens the log; writes the help text when the global options cannot be read.
 */
export async function prepareInvocation(args: readonly string[], parts: InvocationParts): Promise<Invocation> {
  const line = await explainUsage(parts, undefined, () => readCommandLine(args, parts.surroundings));
  parts.review?.(line);
  const own = await openLog(line.global, parts);
  const log = parts.wrapLog?.(own) ?? own;
  let command: Command | undefined;
  return {
    log,
    async run() {
      if (line.version) return showVersion(parts);
      const entry = findEntry(line);
      if (entry === undefined) return showHelp(parts);
      command = (await entry.load()).command;
      return runCommand(command, { line, log, parts });
    },
    exitCodeOf(failure) {
      if (failure instanceof UnknownCommand) return unknownCommandExitCode;
      return failure instanceof ArgumentError ? 1 : (command?.failureExitCode ?? 1);
    },
  };
}

// Sockets are spoken to through the bindings for system calls, which are loaded for them alone.
async function openLog(
  { logTarget, systemdLog, logFormat, logLevel }: GlobalOptions,
  parts: InvocationParts,
): Promise<LogSink> {
  const { writeStderr, isTerminal = false, umask } = parts;
  const { pid } = parts.surroundings;
  const options = {
    format: logFormat,
    level: logLevel,
    writeStderr,
    isTerminal,
    ...(umask !== undefined && { umask }),
  };
  const file = logTarget?.kind === 'file' ? { file: logTarget.file } : {};
  if (!systemdLog && (logTarget === undefined || logTarget.kind === 'file')) return createLog({ ...options, ...file });
  const { openLogSocket } = await import('../host/log-socket.ts');
  return createLog({
    ...options,
    ...file,
    ...(logTarget !== undefined && logTarget.kind !== 'file' && { socket: openLogSocket({ ...logTarget, pid }) }),
    ...(systemdLog && { also: openLogSocket({ kind: 'journald', name: 'tsrun', pid }) }),
  });
}

// As runc: the help text goes to standard output and the message to the log.
async function explainUsage<T>(parts: InvocationParts, command: Command | undefined, read: () => T): Promise<T> {
  try {
    return read();
  } catch (error) {
    if (error instanceof ArgumentError) await showHelp(parts, { command, title: `${wording.incorrectUsage}\n\n` });
    throw error;
  }
}

// That of the library which runc reads its command line with.
const unknownCommandExitCode = 3;

class UnknownCommand extends TsrunError {}

function showVersion({ surroundings }: InvocationParts): number {
  surroundings.writeStdout(versionText(readVersion()));
  return 0;
}

interface HelpOptions {
  /** Default: the whole command line. */
  readonly command?: Command | undefined;
  /** Stands above the text. */
  readonly title?: string;
}

// The help texts bring all of yargs with them and are not worth that to other commands.
async function showHelp({ surroundings }: InvocationParts, { command, title = '' }: HelpOptions = {}): Promise<number> {
  const { commandHelp, globalHelp } = await import('./help.ts');
  const text = await (command === undefined ? globalHelp() : commandHelp(command));
  surroundings.writeStdout(`${title}${text}\n`);
  return 0;
}

function findEntry({ help, command: name }: SplitCommandLine): CommandEntry | undefined {
  if (help || name === undefined || name === 'help') return undefined;
  if (Object.hasOwn(commandTable, name)) return commandTable[name];
  if (name === 'init') throw new UnknownCommand('usage', 'the command "init" is kept for the runtime itself');
  const nearest = nearestName(name, Object.keys(commandTable));
  const advice = nearest === undefined ? '"tsrun --help" lists them' : `did you mean ${JSON.stringify(nearest)}?`;
  throw new UnknownCommand('usage', `unknown command ${JSON.stringify(name)}; ${advice}`);
}

interface RunParts {
  readonly line: SplitCommandLine;
  readonly log: LogSink;
  readonly parts: InvocationParts;
}

async function runCommand(command: Command, { line, log, parts }: RunParts): Promise<number> {
  const { literalFrom } = command.positionals;
  const args = await explainUsage(parts, command, () => {
    const read = readArguments(line.commandArguments, {
      table: { ...command.options, help: globalOptionTable.help },
      owner: ` of ${JSON.stringify(command.name)}`,
      ...(literalFrom !== undefined && { literalAfter: literalFrom }),
    });
    if (read.values['help'] !== true) requirePositionals(command, read.positionals.length);
    return read;
  });
  if (args.values['help'] === true) return showHelp(parts, { command });
  const { surroundings, operations } = parts;
  const context = {
    global: line.global,
    runtime: toRuntime(line.global, log, surroundings),
    log,
    surroundings,
    operations,
    readVersion,
    commandTable,
  };
  return withPrefix(command.failurePrefix, () => command.run(args, context satisfies CommandContext));
}

function toRuntime(global: GlobalOptions, log: LogSink, surroundings: Surroundings): RuntimeOptions {
  const { root, cgroupManager, rootless, cacheDirectory } = global;
  return {
    root,
    cgroupManager,
    ...(rootless !== undefined && { rootless }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    environment: surroundings.environment,
    log,
    // Looked up by the few operations that start something.
    get openFiles() {
      const limit = surroundings.openFiles();
      if (typeof limit !== 'string') return limit;
      log.debug(limit);
      return undefined;
    },
  };
}

// In runc's words.
function requirePositionals({ name, positionals: { minimum, maximum } }: Command, count: number): void {
  if (count >= minimum && count <= maximum) return;
  const exactly = minimum === maximum ? `exactly ${minimum}` : undefined;
  const wanted = exactly ?? (count < minimum ? `a minimum of ${minimum}` : `a maximum of ${maximum}`);
  throw new ArgumentError(wording.wrongCount(name, wanted));
}

async function withPrefix(prefix: string | undefined, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (prefix === undefined || !(error instanceof TsrunError)) throw error;
    throw error.withPrefix(prefix);
  }
}
