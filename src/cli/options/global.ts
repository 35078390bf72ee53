import { isAbsolute } from 'node:path';
import { TsrunError } from '../../errors.ts';
import type { LogFormat, LogLevel } from '../../log.ts';
import type { OptionTable } from './table.ts';
import { parseBoolean } from '../canonical-arguments.ts';
import { readArguments } from '../read-arguments.ts';
import { absolutePath, type Surroundings } from '../surroundings.ts';
import type { CgroupManagerName } from '../../spec/generated/record.ts';
import { wording } from '../../util/wording.ts';

/** The options that stand before the command. */
export const globalOptionTable = {
  root: {
    type: 'string',
    short: 'r',
    placeholder: 'DIR',
    default: '/run/tsrun; of an ordinary user $XDG_RUNTIME_DIR/tsrun',
    description: 'directory of the state directories',
  },
  log: {
    type: 'string',
    short: 'l',
    placeholder: 'TARGET',
    default: 'standard error',
    description: 'where messages go: [file:]PATH, journald:NAME or syslog:NAME',
  },
  'systemd-log': { type: 'boolean', description: 'send messages to the journal of systemd as well' },
  'log-format': {
    type: 'string',
    placeholder: 'FORMAT',
    values: ['text', 'json'],
    default: 'text',
    description: 'text or json',
  },
  'log-level': {
    type: 'string',
    placeholder: 'LEVEL',
    values: ['debug', 'info', 'warning', 'error'],
    default: 'info',
    description: 'debug, info, warning or error',
  },
  debug: { type: 'boolean', description: 'the same as --log-level debug, which tells the time of each phase and step' },
  trace: {
    type: 'string',
    placeholder: 'FILE',
    description: 'write where the time of create, run or exec goes, for Perfetto and "tsrun explain --html"',
  },
  'systemd-cgroup': { type: 'boolean', short: 's', description: 'the same as --cgroup-manager systemd' },
  'cgroup-manager': {
    type: 'string',
    placeholder: 'NAME',
    values: ['cgroupfs', 'systemd', 'disabled'],
    default: 'cgroupfs',
    description: 'cgroupfs, systemd or disabled',
  },
  rootless: {
    type: 'string',
    placeholder: 'BOOLEAN',
    values: ['auto', 'true', 'false'],
    default: 'auto, true unless root',
    description: 'do without a cgroup where none may be made: auto, true or false',
  },
  criu: { type: 'string', placeholder: 'PATH', description: 'accepted for the sake of callers; it has no effect' },
  help: { type: 'boolean', short: 'h', aliases: ['?', 'usage'], description: 'print this text' },
  version: { type: 'boolean', short: 'v', aliases: ['V'], description: 'print the version' },
} as const satisfies OptionTable;

/** The options before the command, checked. */
export interface GlobalOptions {
  /** Absolute. */
  readonly root: string;
  /** It was named on the command line, so that it should be there. */
  readonly isRootGiven: boolean;
  /** What is kept from one container to the next lies here; absent where this user has no place for it. */
  readonly cacheDirectory?: string;
  /** Default: standard error. */
  readonly logTarget?: LogTarget;
  /** The journal gets every message too. */
  readonly systemdLog: boolean;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  /** Where a trace is written. Absolute. */
  readonly traceFile?: string;
  readonly cgroupManager: CgroupManagerName;
  /** Whether a cgroup that may not be made is done without. Default: unless tsrun is root. */
  readonly rootless?: boolean;
}

/** What `--log` names. `file` is absolute; `name` is what the messages are filed under. */
export type LogTarget =
  { readonly kind: 'file'; readonly file: string } | { readonly kind: 'journald' | 'syslog'; readonly name: string };

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
  const logTarget = readLogTarget(values.log, surroundings);
  const traceFile = absolutePath(values.trace, surroundings);
  const rootless = readRootless(values.rootless);
  const cacheDirectory = ownDirectory('tsrun-cache', surroundings);
  const global: GlobalOptions = {
    root: readRoot(values.root, surroundings),
    isRootGiven: values.root !== undefined && values.root !== '',
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(logTarget !== undefined && { logTarget }),
    ...(traceFile !== undefined && { traceFile }),
    systemdLog: values['systemd-log'] === true,
    ...(rootless !== undefined && { rootless }),
    logFormat: readLogFormat(values['log-format']),
    logLevel: values.debug === true ? 'debug' : readLogLevel(values['log-level']),
    cgroupManager: values['systemd-cgroup'] === true ? 'systemd' : readCgroupManager(values['cgroup-manager']),
  };
  const [command, ...commandArguments] = positionals;
  return { global, help: values.help === true, version: values.version === true, command, commandArguments };
}

function readRoot(given: string | undefined, surroundings: Surroundings): string {
  const root = absolutePath(given, surroundings) ?? ownDirectory('tsrun', surroundings) ?? '/run/tsrun';
  if (/^\/+$/.test(root)) throw new TsrunError('usage', wording.rootIsSlash);
  return root.replace(/\/+$/, '');
}

/** Where an ordinary user's layers lie (XDG Base Directory Specification); undefined for root, and where that cannot be told. */
export function findLayersDirectory(surroundings: Surroundings): string | undefined {
  if (!isOrdinaryUser(surroundings)) return undefined;
  const { XDG_DATA_HOME: data = '', HOME: home = '' } = surroundings.environment;
  const directory = isAbsolute(data) ? data : isAbsolute(home) ? `${home}/.local/share` : undefined;
  return directory?.includes('\uFFFD') === true ? undefined : directory && `${directory}/tsrun/overlay`;
}

function isOrdinaryUser(surroundings: Surroundings): boolean {
  return surroundings.uid !== 0 || (surroundings.environment['USER'] !== 'root' && surroundings.inUserNamespace());
}

// Below /run; rootless podman calls its runtime as root of a user namespace, where /run belongs to somebody else.
function ownDirectory(name: string, surroundings: Surroundings): string | undefined {
  const { XDG_RUNTIME_DIR: runtimeDirectory = '' } = surroundings.environment;
  if (runtimeDirectory === '') return surroundings.uid === 0 ? `/run/${name}` : undefined;
  if (runtimeDirectory.includes('\uFFFD')) {
    throw new TsrunError('usage', `use XDG_RUNTIME_DIR, ${JSON.stringify(runtimeDirectory)}: wanted UTF-8`);
  }
  return isOrdinaryUser(surroundings) ? absolutePath(`${runtimeDirectory}/${name}`, surroundings) : `/run/${name}`;
}

// As crun reads it. A file whose name begins with one of the words is reached as `file:NAME` or `./NAME`.
function readLogTarget(text: string | undefined, surroundings: Surroundings): LogTarget | undefined {
  const [, kind, name = ''] = /^(file|journald|syslog):(.*)$/s.exec(text ?? '') ?? [];
  if (kind === 'journald' || kind === 'syslog') return { kind, name: requireLogName(kind, name) };
  const file = absolutePath(kind === 'file' ? name : text, surroundings);
  return file === undefined ? undefined : { kind: 'file', file };
}

// The tag of a line, which readers split at the first space or colon.
function requireLogName(kind: string, name: string): string {
  if (/^[\w.+-]{1,64}$/.test(name)) return name;
  const wanted = `wanted ${kind}:NAME with a name of 1 to 64 letters, digits and "_+.-"`;
  throw new TsrunError('usage', `invalid value ${JSON.stringify(`${kind}:${name}`)} for option "--log": ${wanted}`);
}

function readRootless(text = 'auto'): boolean | undefined {
  const lower = text.toLowerCase();
  if (lower === 'auto' || lower === '') return undefined;
  const value = parseBoolean(lower);
  if (value !== undefined) return value;
  throw new TsrunError(
    'usage',
    `invalid value ${JSON.stringify(text)} for option "--rootless": wanted auto, true or false`,
  );
}

function readLogFormat(text = 'text'): LogFormat {
  if (text === 'text' || text === 'json') return text;
  throw new TsrunError('usage', `${wording.invalidLogFormat}: ${text}, wanted text or json`);
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
      throw new TsrunError('usage', `invalid log-level: ${text}, wanted debug, info, warning or error`);
  }
}

function readCgroupManager(text = 'cgroupfs'): CgroupManagerName {
  if (text === 'cgroupfs' || text === 'systemd' || text === 'disabled') return text;
  const wanted = 'wanted cgroupfs, systemd or disabled';
  throw new TsrunError('usage', `invalid value ${JSON.stringify(text)} for option "--cgroup-manager": ${wanted}`);
}
