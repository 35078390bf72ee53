import { sha256 } from '../../util/sha256.ts';

/** Annotations that name the group of a container: those of one group have one shim. The first that is there counts. */
const GROUPS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/** Where containerd expects the sockets of shims, whatever its own directories are. */
export const SOCKET_DIRECTORY = '/run/containerd/s';

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
  const name = [group.address, group.namespace, 'tsrun', group.group].join('/');
  return `${SOCKET_DIRECTORY}/${sha256(name)}`;
}

/** What `start` prints: a plain address, or JSON for a containerd that says which versions it knows. */
export function printAddress(path: string, maxVersion: string | undefined): string {
  const address = `unix://${path}`;
  if (maxVersion === undefined) return address;
  return JSON.stringify({ version: Number(maxVersion) >= 3 ? 3 : 2, address, protocol: 'ttrpc' });
}
