import { TsrunError } from '../errors.ts';
import type { LogFormat, LogLevel } from '../log.ts';
import type { OptionTable } from './option-table.ts';
import { readArguments } from './read-arguments.ts';
import { absolutePath, type Surroundings } from './surroundings.ts';

/** The options that stand before the command. */
export const globalOptionTable = {
  root: { type: 'string', placeholder: 'DIR', description: 'directory of the state directories' },
  log: { type: 'string', placeholder: 'FILE', description: 'append messages to this file' },
  'log-format': { type: 'string', placeholder: 'FORMAT', description: 'text or json' },
  'log-level': { type: 'string', placeholder: 'LEVEL', description: 'debug, info, warning or error' },
  debug: { type: 'boolean', description: 'the same as --log-level debug' },
  'systemd-cgroup': { type: 'boolean', description: 'the same as --cgroup-manager systemd' },
  'cgroup-manager': { type: 'string', placeholder: 'NAME', description: 'cgroupfs, systemd or disabled' },
  rootless: {
    type: 'string',
    placeholder: 'BOOLEAN',
    description: 'accepted for the sake of callers; it has no effect',
  },
  help: { type: 'boolean', short: 'h', description: 'print this text' },
  version: { type: 'boolean', short: 'v', description: 'print the version' },
} as const satisfies OptionTable;

export type CgroupManagerName = 'cgroupfs' | 'systemd' | 'disabled';

/** The options before the command, checked. */
export interface GlobalOptions {
  /** Absolute. */
  readonly root: string;
  /** Absolute. Default: standard error. */
  readonly logFile?: string;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  readonly cgroupManager: CgroupManagerName;
}

/** A command line, split where the command's name stands. */
export interface SplitCommandLine {
  readonly global: GlobalOptions;
  readonly help: boolean;
  readonly version: boolean;
  readonly command: string | undefined;
  readonly commandArguments: readonly string[];
}

/** The global options of a command line, and what is left of it for the command. Errors: `usage`. */
export function readCommandLine(args: readonly string[], surroundings: Surroundings): SplitCommandLine {
  const rules = { table: globalOptionTable, owner: '', literalAfter: 0 };
  const { values, positionals } = readArguments(args, rules);
  const logFile = absolutePath(values.log, surroundings);
  const global: GlobalOptions = {
    root: readRoot(values.root, surroundings),
    ...(logFile !== undefined && { logFile }),
    logFormat: readLogFormat(values['log-format']),
    logLevel: values.debug === true ? 'debug' : readLogLevel(values['log-level']),
    cgroupManager: values['systemd-cgroup'] === true ? 'systemd' : readCgroupManager(values['cgroup-manager']),
  };
  const [command, ...commandArguments] = positionals;
  return { global, help: values.help === true, version: values.version === true, command, commandArguments };
}

function readRoot(given: string | undefined, surroundings: Surroundings): string {
  const root = absolutePath(given, surroundings) ?? defaultRoot(surroundings);
  if (/^\/+$/.test(root)) throw new TsrunError('usage', 'Option --root argument should not be set to /');
  return root.replace(/\/+$/, '');
}

// Rootless podman calls its runtime as root of a user namespace, where /run belongs to somebody else.
function defaultRoot(surroundings: Surroundings): string {
  const { XDG_RUNTIME_DIR: runtimeDirectory = '', USER: user } = surroundings.environment;
  if (runtimeDirectory === '') return '/run/tsrun';
  const isOrdinaryUser = surroundings.uid !== 0 || (user !== 'root' && surroundings.inUserNamespace());
  return isOrdinaryUser ? (absolutePath(`${runtimeDirectory}/tsrun`, surroundings) ?? '/run/tsrun') : '/run/tsrun';
}

function readLogFormat(text = 'text'): LogFormat {
  if (text === 'text' || text === 'json') return text;
  throw new TsrunError('usage', `invalid log-format: ${text}`);
}

function readLogLevel(text = 'info'): LogLevel {
  switch (text.toLowerCase()) {
    case 'debug':
      return 'debug';
    case 'info':
    case 'warn':
    case 'warning':
      return 'warning';
    case 'error':
      return 'error';
    default:
      throw new TsrunError('usage', `invalid log-level: ${text}`);
  }
}

function readCgroupManager(text = 'cgroupfs'): CgroupManagerName {
  if (text === 'cgroupfs' || text === 'systemd' || text === 'disabled') return text;
  const wanted = 'wanted cgroupfs, systemd or disabled';
  throw new TsrunError('usage', `invalid value ${JSON.stringify(text)} for option "--cgroup-manager": ${wanted}`);
}
