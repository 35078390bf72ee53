import { readFileSync, readdirSync, readlinkSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { readUserName } from '../../host/diagnosis-facts.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import { delegationRemedy } from '../../plan/diagnosis.ts';
import { searchPathOf } from '../../plan/process/executable.ts';
import type { Config, IdMapping, Process } from '../../spec/generated/config.ts';
import { valueAt } from '../../spec/pointer.ts';
import { remedies } from '../../util/remedies.ts';
import { explainEntering, type Entering } from './explain-entering.ts';
import { explainMount } from './explain-mount.ts';

/** What a container was to be made from, and where. */
export interface FailedContainer {
  readonly config: Config;
  readonly host: HostFacts;
  /** Absolute, symlinks resolved. */
  readonly rootfs: string;
  /** Absolute. */
  readonly bundle: string;
}

type Explanation = (failure: TsrunError, container: FailedContainer) => TsrunError;

/** Each looks at what it knows, and returns anything else as it is. */
const EXPLANATIONS: readonly Explanation[] = [
  explainProgramOf,
  explainIdMap,
  explainIdmappedMount,
  explainNamespaceFile,
  explainNewNamespaces,
  explainSysctl,
  explainPlaces,
  explainLimit,
  explainCgroup,
];

/**
 * Why a container could not be made, as far as it can be found out afterwards: nothing that goes well needs it. What is looked at may
 * have changed meanwhile, so that it is said beside the failure and decides nothing.
 */
export function explainFailure(error: unknown, container: FailedContainer): unknown {
  const failure = explainMount(error, container.config);
  if (!(failure instanceof TsrunError)) return failure;
  return EXPLANATIONS.reduce((explained, explain) => explain(explained, container), failure);
}

/** The same of a process that could not enter a container; the command line may have set its working directory. */
export function explainExec(
  error: unknown,
  { process, cwdIsGiven, ...entering }: Entering & { readonly process: Process; readonly cwdIsGiven: boolean },
): unknown {
  if (!(error instanceof TsrunError)) return error;
  const failure = explainEntering(error, { ...entering, process });
  if (failure.pointer === '/process/cwd' && cwdIsGiven) {
    const { hint = remedies.cwd } = failure;
    return failure.withPointer(undefined).withHint(hint);
  }
  return explainProgram(failure, { ...entering.config, process });
}

function explainProgramOf(failure: TsrunError, { config }: FailedContainer): TsrunError {
  return explainProgram(failure, config);
}

function explainProgram(failure: TsrunError, { process, mounts = [] }: Config): TsrunError {
  if (failure.code !== 'program' || process === undefined) return failure;
  if (failure.step?.purpose === 'find program') return failure.withHint(remedies.searchPath(searchPathOf(process)));
  const isOfCwd = failure.pointer === '/process/cwd';
  if (failure.errno !== 'EACCES' || isOfCwd || failure.step?.purpose === 'execute program') return failure;
  const file = process.args?.[0] ?? '';
  const covering = mounts.findLastIndex(({ destination }) => isBelow(file, destination));
  const mount = mounts[covering];
  if (mount?.options?.includes('noexec') === true)
    return failure.withHint(remedies.noexec(mount.destination, `/mounts/${covering}`));
  const { uid = 0, gid = 0 } = process.user ?? {};
  return failure.withHint(remedies.execute(file, `user ${uid} of group ${gid}`));
}

function isBelow(file: string, directory: string): boolean {
  return path.posix.resolve('/', file).startsWith(`${path.posix.resolve('/', directory)}/`);
}

function explainIdMap(failure: TsrunError, { config, host }: FailedContainer): TsrunError {
  const kind = /^\/linux\/([ug]id)Mappings$/.exec(failure.pointer ?? '')?.[1] as 'uid' | 'gid' | undefined;
  if (failure.code !== 'host' || kind === undefined) return failure;
  if (failure.errno === 'ENOENT') return failure.withHint(remedies.idTool);
  const { euid, egid } = host.identity;
  if (euid === 0) return failure;
  const own = kind === 'uid' ? euid : egid;
  const foreign = (config.linux?.[`${kind}Mappings`] ?? []).find(({ hostID, size }) => hostID !== own || size !== 1);
  return failure.withHint(wantedLine(foreign, { kind, own, name: readUserName(euid) ?? String(euid) }));
}

/** Ids below are those of the system and of people. */
const FIRST_SUBORDINATE_ID = 65_536;

function wantedLine(
  range: Readonly<IdMapping> | undefined,
  { kind, own, name }: { readonly kind: 'uid' | 'gid'; readonly own: number; readonly name: string },
): string {
  if (range === undefined || range.hostID < FIRST_SUBORDINATE_ID) return remedies.ownIds(kind, own);
  return remedies.subordinateIds({ kind, name, first: range.hostID, count: range.size });
}

function explainIdmappedMount(failure: TsrunError): TsrunError {
  const isMapping = failure.step?.purpose === 'map ids of a mount' && failure.errno === 'EINVAL';
  return isMapping ? failure.withMore('its file system cannot map ids, or is mapped already') : failure;
}

/** NSFS_MAGIC of include/uapi/linux/magic.h. */
const NSFS = 0x6e736673;

function explainNamespaceFile(failure: TsrunError, { config }: FailedContainer): TsrunError {
  const index = /^\/linux\/namespaces\/(\d+)\/path$/.exec(failure.pointer ?? '')?.[1];
  const file = config.linux?.namespaces?.[Number(index)]?.path;
  if (file === undefined || failure.errno !== 'EINVAL') return failure;
  const found = attempt(() => statfsSync(file).type);
  if (found === undefined) return failure;
  if (found !== NSFS) return failure.withMore('it is no namespace');
  const type = /^(\w+):\[\d+\]$/.exec(attempt(() => readlinkSync(file)) ?? '')?.[1];
  return failure.withMore(
    type === undefined ? 'it is a namespace of another type' : `it is a namespace of type "${type}"`,
  );
}

function explainNewNamespaces(failure: TsrunError, { config, host }: FailedContainer): TsrunError {
  const { purpose, errno } = failure.step ?? {};
  const isUser = purpose === 'create user namespace';
  if (!isUser && purpose !== 'create namespaces') return failure;
  // In place of a count that is too high the kernel says that there is no space.
  if (errno === 'ENOSPC') return failure.withHint(isUser ? remedies.userNamespaces : remedies.namespaces);
  if (errno !== 'EPERM' || host.identity.euid === 0) return failure;
  const hasUser = config.linux?.namespaces?.some(({ type }) => type === 'user') === true;
  const who = failure.withMore(`tsrun runs as user ${host.identity.euid}`);
  return hasUser ? who : who.withHint(remedies.rootless);
}

function explainSysctl(failure: TsrunError, { config }: FailedContainer): TsrunError {
  if (failure.step?.purpose !== 'set sysctl') return failure;
  const value = failure.pointer === undefined ? undefined : valueAt(config, failure.pointer);
  return value === undefined ? failure : failure.withMore(`the value is ${JSON.stringify(value)}`);
}

function explainPlaces(failure: TsrunError, { config, host, rootfs, bundle }: FailedContainer): TsrunError {
  return explainEntering(failure, { config, rootfs, bundle, identity: host.identity });
}

/** What of linux.resources a limit comes from, and what this machine has. */
function explainLimit(failure: TsrunError): TsrunError {
  const pointer = failure.issues[0]?.pointer;
  if (failure.code !== 'cgroup' || failure.pointer !== undefined || pointer === undefined) return failure;
  // An issue whose text is the message itself has said where.
  const placed = failure.text.includes(pointer) ? failure : failure.withPointer(pointer);
  if (failure.errno === 'ERANGE' && pointer === '/linux/resources/cpu/cpus')
    return placed.withHint(remedies.processors(attempt(() => readFileSync(ONLINE, 'utf8').trim()) ?? ''));
  if (failure.errno === 'ENOENT' && pointer.startsWith('/linux/resources/hugepageLimits/'))
    return placed.withHint(remedies.hugePages(hugePages()));
  return placed;
}

const ONLINE = '/sys/devices/system/cpu/online';

/** As config.json names them. */
function hugePages(): string[] {
  const names = attempt(() => readdirSync('/sys/kernel/mm/hugepages')) ?? [];
  return names.map((name) => {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    return kilobytes >= 1024 * 1024 ? `${kilobytes / 1024 / 1024}GB` : `${kilobytes / 1024}MB`;
  });
}

function explainCgroup(failure: TsrunError, { host }: FailedContainer): TsrunError {
  const isClosed = failure.errno === 'EACCES' || failure.errno === 'EROFS';
  return failure.code === 'cgroup' && isClosed ? failure.withHint(delegationRemedy(host)) : failure;
}

function attempt<Found>(look: () => Found): Found | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
