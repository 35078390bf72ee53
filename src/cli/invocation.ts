import { TsrunError } from '../errors.ts';
import { createLog, type LogSink } from '../log.ts';
import { wording } from '../util/wording.ts';
import { ArgumentError } from './argument-error.ts';
import { usageLine, type Command, type CommandContext, type CommandEntry } from './command.ts';
import { commandTable } from './command-table.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { HABITS } from './help-texts.ts';
import { nearestName } from '../util/nearest-name.ts';
import type { Operations } from './operations.ts';
import {
  globalOptionTable,
  findLayersDirectory,
  readCommandLine,
  type GlobalOptions,
  type SplitCommandLine,
} from './options/global.ts';
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
 * Errors: `usage`, `host`. Effects: opens the log.
 */
export async function prepareInvocation(args: readonly string[], parts: InvocationParts): Promise<Invocation> {
  const line = readCommandLine(args, parts.surroundings);
  parts.review?.(line);
  const own = await openLog(line.global, parts);
  const log = parts.wrapLog?.(own) ?? own;
  let command: Command | undefined;
  return {
    log,
    async run() {
      if (line.version) return showVersion(parts);
      if (line.help || line.command === undefined || line.command === 'help')
        return showHelp(parts, await topicOf(line));
      const entry = findEntry(line.command);
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

// That of the library which runc reads its command line with.
const unknownCommandExitCode = 3;

class UnknownCommand extends TsrunError {}

function showVersion({ surroundings }: InvocationParts): number {
  surroundings.writeStdout(versionText(readVersion()));
  return 0;
}

// The help texts bring all of yargs with them and are not worth that to other commands.
async function showHelp({ surroundings }: InvocationParts, command?: Command): Promise<number> {
  const { commandHelp, globalHelp } = await import('./help.ts');
  const layout = { columns: surroundings.columns?.() };
  const text = await (command === undefined ? globalHelp(layout) : commandHelp(command, layout));
  surroundings.writeStdout(`${text}\n`);
  return 0;
}

/** The command that help is wanted for; none with `--help` before the command, and without one. */
async function topicOf({ help, command, commandArguments: [topic] }: SplitCommandLine): Promise<Command | undefined> {
  if (help || command === undefined || topic === undefined || topic.startsWith('-')) return undefined;
  return (await findEntry(topic).load()).command;
}

function findEntry(name: string): CommandEntry {
  const entry = Object.hasOwn(commandTable, name) ? commandTable[name] : undefined;
  if (entry !== undefined) return entry;
  if (name === 'init') throw new UnknownCommand('usage', 'the command "init" is kept for the runtime itself');
  throw new UnknownCommand('usage', `unknown command ${JSON.stringify(name)}; ${adviceFor(name)}`);
}

function adviceFor(name: string): string {
  const habit = Object.hasOwn(HABITS, name) ? HABITS[name] : undefined;
  if (habit !== undefined) return habit;
  const nearest = nearestName(name, Object.keys(commandTable));
  return nearest === undefined ? '"tsrun --help" lists them' : `did you mean ${JSON.stringify(nearest)}?`;
}

interface RunParts {
  readonly line: SplitCommandLine;
  readonly log: LogSink;
  readonly parts: InvocationParts;
}

async function runCommand(command: Command, { line, log, parts }: RunParts): Promise<number> {
  const { literalFrom } = command.positionals;
  const args = readArguments(line.commandArguments, {
    table: { ...command.options, help: globalOptionTable.help },
    owner: ` of ${JSON.stringify(command.name)}`,
    before: globalOptionTable,
    ...(literalFrom !== undefined && { literalAfter: literalFrom }),
  });
  if (args.values['help'] === true) return showHelp(parts, command);
  requirePositionals(command, args.positionals.length);
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
  const { root, cgroupManager, rootless, cacheDirectory, traceFile, logLevel } = global;
  const layersDirectory = findLayersDirectory(surroundings);
  return {
    root,
    cgroupManager,
    ...(rootless !== undefined && { rootless }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(layersDirectory !== undefined && { layersDirectory }),
    ...(traceFile !== undefined && { traceFile }),
    logsSteps: logLevel === 'debug',
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
function requirePositionals(command: Command, count: number): void {
  const {
    name,
    positionals: { minimum, maximum },
    advice,
  } = command;
  if (count >= minimum && count <= maximum) return;
  const exactly = minimum === maximum ? `exactly ${minimum}` : undefined;
  const wanted = exactly ?? (count < minimum ? `a minimum of ${minimum}` : `a maximum of ${maximum}`);
  const more = advice === undefined ? '' : `; ${advice}`;
  throw new ArgumentError(`${wording.wrongCount(name, wanted)}: ${usageLine(command)}${more}`);
}

async function withPrefix(prefix: string | undefined, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (prefix === undefined || !(error instanceof TsrunError)) throw error;
    throw error.withPrefix(prefix);
  }
}
