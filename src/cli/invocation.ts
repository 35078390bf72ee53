import { TsrunError } from '../errors.ts';
import { createLog, type LogSink } from '../log.ts';
import type { Command, CommandContext } from './command.ts';
import { commandTable, type CommandEntry } from './command-table.ts';
import { nearestName } from './nearest.ts';
import type { Operations } from './operations.ts';
import { readCommandLine, type GlobalOptions, type SplitCommandLine } from './options.ts';
import { readArguments } from './read-arguments.ts';
import type { Surroundings } from './surroundings.ts';
import { readVersion, versionText } from './version.ts';

/** What an invocation works with. */
export interface InvocationParts {
  readonly surroundings: Surroundings;
  readonly operations: Operations;
  readonly writeStderr: (text: string) => void;
  /** Standard error is a terminal. Default: false. */
  readonly isTerminal?: boolean;
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

/** An invocation for a command line without the names of Node and of the script. Errors: `usage`, `host`. */
export function prepareInvocation(args: readonly string[], parts: InvocationParts): Invocation {
  const line = readCommandLine(args, parts.surroundings);
  const { logFile: file, logFormat: format, logLevel: level } = line.global;
  const log = createLog({
    ...(file !== undefined && { file }),
    format,
    level,
    writeStderr: parts.writeStderr,
    isTerminal: parts.isTerminal === true,
  });
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
      const isUsage = failure instanceof TsrunError && failure.code === 'usage';
      return isUsage ? 1 : (command?.failureExitCode ?? 1);
    },
  };
}

function showVersion({ surroundings }: InvocationParts): number {
  surroundings.writeStdout(versionText(readVersion()));
  return 0;
}

// The help texts bring all of yargs with them and are not worth that to other commands.
async function showHelp({ surroundings }: InvocationParts, command?: Command): Promise<number> {
  const { commandHelp, globalHelp } = await import('./help.ts');
  const text = await (command === undefined ? globalHelp() : commandHelp(command));
  surroundings.writeStdout(`${text}\n`);
  return 0;
}

function findEntry({ help, command: name }: SplitCommandLine): CommandEntry | undefined {
  if (help || name === undefined || name === 'help') return undefined;
  if (Object.hasOwn(commandTable, name)) return commandTable[name];
  const nearest = nearestName(name, Object.keys(commandTable));
  const advice = nearest === undefined ? '"tsrun --help" lists them' : `did you mean ${JSON.stringify(nearest)}?`;
  throw new TsrunError('usage', `unknown command ${JSON.stringify(name)}; ${advice}`);
}

interface RunParts {
  readonly line: SplitCommandLine;
  readonly log: LogSink;
  readonly parts: InvocationParts;
}

async function runCommand(command: Command, { line, log, parts }: RunParts): Promise<number> {
  const { literalFrom } = command.positionals;
  const args = readArguments(line.commandArguments, {
    table: { ...command.options, help: { type: 'boolean', short: 'h', description: '' } },
    owner: ` of ${JSON.stringify(command.name)}`,
    ...(literalFrom !== undefined && { literalAfter: literalFrom }),
  });
  if (args.values['help'] === true) return showHelp(parts, command);
  requirePositionals(command, args.positionals.length);
  const { surroundings, operations } = parts;
  const context = {
    global: line.global,
    runtime: toRuntime(line.global, log),
    log,
    surroundings,
    operations,
    readVersion,
  };
  return withPrefix(command.failurePrefix, () => command.run(args, context satisfies CommandContext));
}

function toRuntime({ root, cgroupManager }: GlobalOptions, log: LogSink): CommandContext['runtime'] {
  return { root, cgroupManager, log };
}

// In runc's words.
function requirePositionals({ name, positionals: { minimum, maximum } }: Command, count: number): void {
  if (count >= minimum && count <= maximum) return;
  const exactly = minimum === maximum ? `exactly ${minimum}` : undefined;
  const wanted = exactly ?? (count < minimum ? `a minimum of ${minimum}` : `a maximum of ${maximum}`);
  throw new TsrunError('usage', `${JSON.stringify(name)} requires ${wanted} argument(s)`);
}

async function withPrefix(prefix: string | undefined, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (prefix === undefined || !(error instanceof TsrunError) || error.code === 'usage') throw error;
    const { code, message, issues, step, errno } = error;
    const details = { cause: error, issues, ...(step && { step }), ...(errno !== undefined && { errno }) };
    throw new TsrunError(code, prefix + message, details);
  }
}
