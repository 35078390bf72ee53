import { TsrunError } from '../../errors.ts';

/** What a shim is told by whoever starts it. Source: containerd, docs/runtime-v2.md. */
export interface ShimFlags {
  readonly action: 'start' | 'delete' | 'version';
  /** Of containerd's containers. */
  readonly namespace: string;
  /** Path of containerd's socket. */
  readonly address: string;
  /** Path of containerd, whose `publish` takes events. */
  readonly publishBinary: string;
  readonly id: string;
  /** Absolute path; the empty string is the working directory. */
  readonly bundle: string;
  readonly debug: boolean;
}

const TEXTS = ['namespace', 'address', 'publish-binary', 'id', 'bundle', 'socket'] as const;
const FLAGS = ['debug', 'v'] as const;

/**
 * Reads the arguments, in the style of Go's package `flag`: one or two dashes, the value behind `=` or in the next argument; the first that
 * is no flag is the action.
 *
 * Errors: `usage`.
 */
export function readFlags(args: readonly string[]): ShimFlags {
  const texts = new Map<string, string>();
  const flags = new Set<string>();
  let at = 0;
  for (; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (!/^--?[^-]/.test(arg)) break;
    const [, name = '', value] = /^--?([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (FLAGS.some((known) => known === name)) {
      if (value !== 'false' && value !== '0') flags.add(name);
    } else if (TEXTS.some((known) => known === name)) {
      if (value === undefined) at += 1;
      const given = value ?? args[at];
      if (given === undefined) throw usage(`-${name} needs a value`);
      texts.set(name, given);
    } else throw usage(`unknown flag ${JSON.stringify(arg)}`);
  }
  const text = (name: (typeof TEXTS)[number]): string => texts.get(name) ?? '';
  return {
    action: flags.has('v') ? 'version' : readAction(args[at]),
    namespace: flags.has('v') ? '' : required(text('namespace'), 'namespace'),
    id: flags.has('v') ? '' : required(text('id'), 'id'),
    address: text('address'),
    publishBinary: text('publish-binary'),
    bundle: text('bundle'),
    debug: flags.has('debug'),
  };
}

function readAction(action: string | undefined): 'start' | 'delete' {
  if (action === 'start' || action === 'delete') return action;
  throw usage(
    `the action is ${JSON.stringify(action ?? '')}, wanted "start" or "delete": containerd starts this program`,
  );
}

/** Both become parts of paths. */
function required(value: string, name: string): string {
  if (value === '') throw usage(`-${name} is missing`);
  if (/[/\0]/.test(value) || value === '.' || value === '..')
    throw usage(`-${name} is ${JSON.stringify(value)}, wanted a name`);
  return value;
}

function usage(message: string): TsrunError {
  return new TsrunError('usage', `containerd-shim-tsrun-v2: ${message}`);
}
