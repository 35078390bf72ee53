import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { parseJson } from '../../spec/parse.ts';
import { decode, type Value } from '../../protobuf/codec.ts';
import { kindOf, type Any } from '../wire/common.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { CREATE_OPTIONS, RUNC_OPTIONS, RUNTIME_OPTIONS, RUNTIME_V1_OPTIONS } from '../wire/task.ts';

/** What can be chosen for a runtime: the options of runc's shim, as far as they mean something here. */
export type ShimOptions = Pick<
  Value<typeof RUNC_OPTIONS>,
  'noPivotRoot' | 'noNewKeyring' | 'shimCgroup' | 'root' | 'systemdCgroup'
> & {
  /** One shim for all containers of the namespace; undefined where nothing is said of it. */
  readonly shared?: boolean;
  /** Where CRIU leaves its log. */
  readonly criuWorkPath?: string;
};

/** Where state is kept, below it a directory for each namespace. */
const ROOT = '/run/containerd/tsrun';
const CONFIG_BYTES_MAX = 64 * 1024;

/** Name in a configuration file -> name here; those of containerd's own runtime, whose files may be reused. */
const MEMBERS = new Map<string, { readonly name: keyof ShimOptions | undefined; readonly type: string }>([
  ['NoPivotRoot', { name: 'noPivotRoot', type: 'boolean' }],
  ['NoNewKeyring', { name: 'noNewKeyring', type: 'boolean' }],
  ['ShimCgroup', { name: 'shimCgroup', type: 'string' }],
  ['Root', { name: 'root', type: 'string' }],
  ['SystemdCgroup', { name: 'systemdCgroup', type: 'boolean' }],
  ['Shared', { name: 'shared', type: 'boolean' }],
  ['CriuWorkPath', { name: 'criuWorkPath', type: 'string' }],
  // containerd reads this one; CRIU is the one in PATH.
  ['CriuImagePath', { name: undefined, type: 'string' }],
  ['CriuPath', { name: undefined, type: 'string' }],
  ['BinaryName', { name: undefined, type: 'string' }],
  // Standard streams become the property of the container's user in any case.
  ['IoUid', { name: undefined, type: 'number' }],
  ['IoGid', { name: undefined, type: 'number' }],
]);

/**
 * The options that a caller sends: those of runc's shim, in one of two versions, or the place of a file (`runtimeoptions.v1`) with a JSON object of their names.
 *
 * Errors: `RpcError` INVALID_ARGUMENT; `WireError`; `host` when the file cannot be read.
 */
export function readOptions(sent: Any | undefined, log: Log): ShimOptions {
  const value = Buffer.from(sent?.value ?? []);
  const kind = sent === undefined ? '' : kindOf(sent);
  switch (kind) {
    case '':
      return complete({});
    case 'containerd.runc.v1.Options': {
      const options = decode(RUNC_OPTIONS, value);
      if (options.binaryName !== '') warnOfBinary(options.binaryName, log);
      return complete(options);
    }
    case 'containerd.linux.runc.CreateOptions':
      return complete(decode(CREATE_OPTIONS, value));
    case 'containerd.linux.runc.RuncOptions': {
      const options = decode(RUNTIME_V1_OPTIONS, value);
      if (options.binaryName !== '') warnOfBinary(options.binaryName, log);
      return complete(options);
    }
    case 'runtimeoptions.v1.Options': {
      const { configPath, configBody } = decode(RUNTIME_OPTIONS, value);
      if (configBody.length > 0) return readConfig(Buffer.from(configBody).toString(), 'the options', log);
      return configPath === '' ? complete({}) : readConfig(readFile(configPath), JSON.stringify(configPath), log);
    }
    default:
      throw new RpcError(
        CODE.invalidArgument,
        `read the options: they are of the unknown kind ${JSON.stringify(kind)}`,
      );
  }
}

function complete(options: Partial<ShimOptions>): ShimOptions {
  const { noPivotRoot = false, noNewKeyring = false, shimCgroup = '', root = '', systemdCgroup = false } = options;
  const { shared, criuWorkPath = '' } = options;
  return {
    ...{ noPivotRoot, noNewKeyring, shimCgroup, root: root === '' ? ROOT : root, systemdCgroup },
    ...(shared !== undefined && { shared }),
    ...(criuWorkPath !== '' && { criuWorkPath }),
  };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw TsrunError.of('host', `read ${JSON.stringify(path)}`, error);
  }
}

function readConfig(text: string, where: string, log: Log): ShimOptions {
  const wrong = (what: string): RpcError => new RpcError(CODE.invalidArgument, `read ${where}: ${what}`);
  if (text.length > CONFIG_BYTES_MAX) throw wrong(`it has more than ${CONFIG_BYTES_MAX} bytes`);
  let config: unknown;
  try {
    config = parseJson(text);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw wrong('wanted a JSON object');
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(config)) {
    const member = MEMBERS.get(name);
    if (member === undefined) throw wrong(`unknown option ${JSON.stringify(name)}`);
    if (typeof value !== member.type) throw wrong(`option ${JSON.stringify(name)} is no ${member.type}`);
    if (name === 'BinaryName') warnOfBinary(value as string, log);
    if (member.name !== undefined) options[member.name] = value;
  }
  return complete(options);
}

/** No command is called: whoever names one may rely on it. */
function warnOfBinary(name: string, log: Log): void {
  log.warning(`the option BinaryName, ${JSON.stringify(name)}, is ignored: this shim is the runtime itself`);
}
