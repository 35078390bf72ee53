import type { CgroupWrite, ControllerPlace } from '../writes.ts';

const FILES = ['cpuset.cpus', 'cpuset.mems'] as const;

/**
 * A new v1 cpuset is empty, and nobody can join it (ENOSPC): every group down to the container's takes over what its parent has.
 *
 * `ancestors` are the groups above the container's, outermost first, relative to the mount point.
 */
export function planCpusetInheritanceV1(place: ControllerPlace, ancestors: readonly string[]): CgroupWrite[] {
  const above = ancestors.filter((path) => path !== '/');
  const writes = above.flatMap((ancestor) =>
    FILES.map((file): CgroupWrite => {
      return { kind: 'inherit', ...place, ancestor, file, label: `hand ${file} down to ${JSON.stringify(ancestor)}` };
    }),
  );
  const own = FILES.map((file): CgroupWrite => {
    return { kind: 'inherit', ...place, file, label: `hand ${file} down to the container` };
  });
  return [...writes, ...own];
}
