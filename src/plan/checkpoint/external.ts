import { TsrunError } from '../../errors.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Config } from '../../spec/generated/config.ts';
import { deviceKey, listDevices } from '../rootfs/device-nodes.ts';
import { findNamespace, hasNewNamespace } from '../base/context.ts';

/** What stands for the device that files are masked with. */
export const MASK = '/dev/null';

/** Namespaces that CRIU takes as they are, by their names in /proc/PID/ns: a process of the container is in one that others made. */
export const EXTERNAL_NAMESPACES = { network: 'net', pid: 'pid' } as const;
/** Type of the specification -> CRIU's name of those that it joins when it restores. */
const JOINED: Readonly<Record<string, string>> = { ipc: 'ipc', uts: 'uts', user: 'user', mount: 'mnt', time: 'time' };

/** The name under which an external namespace is found again. */
export function namespaceKey(name: string): string {
  return `extRoot${name.charAt(0).toUpperCase()}${name.slice(1)}NS`;
}

/** Those of the config that are joined by path and that CRIU takes as they are: type, name in /proc/PID/ns, path. */
export function externalNamespaces(config: Config): { readonly name: string; readonly path: string }[] {
  return Object.entries(EXTERNAL_NAMESPACES).flatMap(([type, name]) => {
    const path = findNamespace(config, type)?.path ?? '';
    return path === '' ? [] : [{ name, path }];
  });
}

/** The others that are joined by path. Errors: `unsupported` for one that CRIU cannot join. */
export function joinedNamespaces(config: Config): { readonly ns: string; readonly nsFile: string }[] {
  return (config.linux?.namespaces ?? []).flatMap(({ type, path = '' }, index) => {
    if (path === '' || Object.hasOwn(EXTERNAL_NAMESPACES, type)) return [];
    const ns = JOINED[type];
    if (ns !== undefined) return [{ ns, nsFile: path }];
    throw new TsrunError('unsupported', `restore a container: CRIU joins no ${type} namespace by its path`, {
      pointer: `/linux/namespaces/${index}/path`,
    });
  });
}

/** Whether what is mounted as cgroups is bound from the host: CRIU makes it by itself only in a cgroup namespace. */
export function bindsCgroups(config: Config): boolean {
  return !hasNewNamespace(config, 'cgroup');
}

/** Where something from outside is, and what it is there. */
export interface OutsidePlace {
  readonly destination: string;
  /** As the config has it. */
  readonly source: string;
  /** Of a device: its name among the facts about the host. */
  readonly device?: string;
}

/** The mounts and devices that come from outside: a device is one where it is bound, because it may not be made. */
export function outsidePlaces(config: Config): OutsidePlace[] {
  const mounts = (config.mounts ?? []).flatMap((mount) =>
    isBindMount(mount) ? [{ destination: mount.destination, source: mount.source ?? '' }] : [],
  );
  const devices = listDevices(config).map((node) => ({
    destination: node.path,
    source: node.path,
    device: deviceKey(node),
  }));
  return [...mounts, ...devices];
}

/** Destinations at which cgroups are mounted. */
export function cgroupDestinations(config: Config): string[] {
  return (config.mounts ?? []).flatMap(({ type, destination }) => (type === 'cgroup' ? [destination] : []));
}

/** Destinations of all that is not CRIU's to make: what comes from outside, and cgroups. */
export function externalDestinations(config: Config): string[] {
  return [...outsidePlaces(config).map(({ destination }) => destination), ...cgroupDestinations(config)];
}

/** The names by which CRIU exchanges what is at standard descriptors: pipes by itself, files of the host where it is told of them. */
export const STANDARD_KEY = /^(?:pipe:\[\d+\]|file\[[\da-f]+:[\da-f]+\])$/;

/** The name of a file that no mount of the container has. */
export function outsideFileKey(mountId: number, inode: bigint): string {
  return `file[${mountId.toString(16)}:${inode.toString(16)}]`;
}

/** Those of the names that CRIU has to be told of. */
export function outsideFiles(descriptors: readonly string[]): string[] {
  return [...new Set(descriptors.filter((one) => one.startsWith('file[') && STANDARD_KEY.test(one)))];
}

/** The group on the host that root of a user namespace has: what is restored reads the images itself. */
export function groupOfRoot({ linux }: Config): number | undefined {
  return linux?.gidMappings?.find(({ containerID }) => containerID === 0)?.hostID;
}

/** Paths at which files may be masked. */
export function maskedPaths({ linux }: Config): readonly string[] {
  return linux?.maskedPaths ?? [];
}
