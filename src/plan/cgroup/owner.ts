import type { Config } from '../../spec/generated/config.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';
import type { CgroupDirectory } from './path.ts';

/** Who may manage the container's cgroup from inside. */
export interface CgroupOwner {
  /** Index into the plan's directories. */
  readonly directory: number;
  /** As the host counts. */
  readonly uid: number;
  /** Set where tsrun may lack the right to give files away; nothing but the convenience is lost then. */
  readonly optional: boolean;
}

/** The parts of a config that decide who owns a cgroup. */
export type OwnerConfig = Pick<Config, 'process' | 'mounts'> & {
  readonly linux?: Pick<NonNullable<Config['linux']>, 'namespaces' | 'uidMappings'>;
};

/**
 * The owner of the container's cgroup, or undefined when it stays with whoever made it (config-linux.md, "Cgroup ownership").
 *
 * Only a cgroup2 directory is given away, and only to a container that sees it as its root and can write to it: with a new cgroup
 * namespace and a cgroup mount that is not read-only.
 */
export function planCgroupOwner(
  { process, mounts, linux }: OwnerConfig,
  {
    layout,
    directories,
    optional,
  }: {
    readonly layout: CgroupLayout;
    readonly directories: readonly CgroupDirectory[];
    readonly optional: boolean;
  },
): CgroupOwner | undefined {
  const namespace = linux?.namespaces?.find(({ type }) => type === 'cgroup');
  if (layout.mode !== 'v2' || process === undefined || namespace === undefined || (namespace.path ?? '') !== '')
    return undefined;
  const isWritable = mounts?.some(({ destination, type, options }) => {
    const isThere = (type === 'cgroup' || type === 'cgroup2') && /^\/+sys\/+fs\/+cgroup\/*$/.test(destination);
    // Of `ro` and `rw` the last one counts.
    return isThere && options?.findLast((option) => option === 'ro' || option === 'rw') !== 'ro';
  });
  if (isWritable !== true) return undefined;
  const uid = toHostId(process.user?.uid ?? 0, linux?.uidMappings ?? []);
  return uid === undefined
    ? undefined
    : { directory: directories.findIndex(({ kind }) => kind === 'v2'), uid, optional };
}

/** An id of the container as the host counts; undefined for one that is not mapped. Without maps they are the same. */
function toHostId(
  id: number,
  mappings: readonly { readonly containerID: number; readonly hostID: number; readonly size: number }[],
): number | undefined {
  if (mappings.length === 0) return id;
  const range = mappings.find(({ containerID, size }) => id >= containerID && id - containerID < size);
  return range === undefined ? undefined : range.hostID + (id - range.containerID);
}
