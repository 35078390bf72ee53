import { statSync } from 'node:fs';
import path from 'node:path';
import { DOOR, LAUNCHED } from '../../util/launched.ts';
import { sha256 } from '../../util/sha256.ts';

/** Annotations that name the group of a container: those of one group have one shim. The first that is there counts. */
const GROUPS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/** Where containerd expects the sockets of shims, whatever its own directories are. */
const SOCKET_DIRECTORY = path.dirname(DOOR.prefix);

/** The group that a configuration names, and else the container's own. */
export function groupOf(config: unknown, id: string): string {
  const { annotations } = (config ?? {}) as { readonly annotations?: Readonly<Record<string, unknown>> };
  const named = GROUPS.map((name) => annotations?.[name]).find((value) => typeof value === 'string' && value !== '');
  return (named as string | undefined) ?? id;
}

/** Path of the socket of a group's shim. Other runtimes' shims of the same group have others. */
export function socketPath(group: {
  readonly address: string;
  readonly namespace: string;
  readonly group: string;
}): string {
  return pathOf(group.address, group.namespace, 'tsrun', group.group);
}

/** Path of the socket of the one shim of a containerd and namespace. */
export function sharedSocketPath({
  address,
  namespace,
}: {
  readonly address: string;
  readonly namespace: string;
}): string {
  return pathOf(address, namespace, 'tsrun-shared');
}

function pathOf(...names: readonly string[]): string {
  return `${SOCKET_DIRECTORY}/${sha256(names.join('/'))}`;
}

/** Path of the socket at which launchers look for the one shim of the containers beside a bundle. Errors: those of node:fs. */
export function doorPath(bundle: string, prefix: string = DOOR.prefix): string {
  const { dev, ino } = statSync(path.join(bundle, '..'), { bigint: true });
  return `${prefix}${lettersOf(ino)}${DOOR.between}${lettersOf(majorOf(dev) | (minorOf(dev) << 32n))}`;
}

/** Source: glibc, bits/sysmacros.h. */
function majorOf(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
}

function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
}

/** A number as launchers write it. */
function lettersOf(number: bigint): string {
  const letter = LAUNCHED.digits[Number(number % 16n)] ?? '';
  return number < 16n ? letter : letter + lettersOf(number / 16n);
}

/** What `start` prints: a plain address, or JSON for a containerd that says which versions it knows. */
export function printAddress(path: string, maxVersion: string | undefined): string {
  const address = `unix://${path}`;
  if (maxVersion === undefined) return address;
  return JSON.stringify({ version: Number(maxVersion) >= 3 ? 3 : 2, address, protocol: 'ttrpc' });
}
