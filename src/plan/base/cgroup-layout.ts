/** How the control groups of this machine are mounted, and where in them tsrun itself runs. */
export interface CgroupLayout {
  /** `hybrid` is v1 controllers plus a cgroup2 mount beside them; `none` when nothing is mounted. */
  readonly mode: 'v1' | 'hybrid' | 'v2' | 'none';
  /** v1 hierarchies, in the order of /proc/self/cgroup. */
  readonly hierarchies: readonly CgroupHierarchy[];
  /** The cgroup2 mount, also on a hybrid host. */
  readonly unified?: UnifiedHierarchy;
}

/** A v1 hierarchy that is mounted. */
export interface CgroupHierarchy {
  /** Controllers mounted together, such as `['cpu', 'cpuacct']` or `['name=systemd']`. */
  readonly controllers: readonly string[];
  /** Where the hierarchy is mounted, such as `/sys/fs/cgroup/memory`. */
  readonly mountPoint: string;
  /** tsrun's own cgroup, relative to the mount point, starting with `/`. */
  readonly ownPath: string;
}

/** The mount of cgroup v2. */
export interface UnifiedHierarchy {
  readonly mountPoint: string;
  readonly ownPath: string;
  /** Controllers of the root's cgroup.controllers. */
  readonly controllers: readonly string[];
}

/** Where a container's cgroups are made by default, a directory for each hierarchy; absolute. */
export function cgroupPlaces({ hierarchies, unified }: CgroupLayout): string[] {
  return [...hierarchies.map(placeIn), ...(unified === undefined ? [] : [placeInUnified(unified)])];
}

/** Whether cgroups may be made in all of these places; `writable` are those of `cgroupPlaces` where they may. */
export function ownCgroupsAreWritable(layout: CgroupLayout, writable: readonly string[]): boolean {
  return cgroupPlaces(layout).every((place) => writable.includes(place));
}

/**
 * The layout for a user who is no root: whoever was given v1 controllers need not have been given the hierarchies that only keep
 * processes apart, `name=systemd` and the cgroup2 mount beside v1. A container does without those of the two that are not writable.
 */
export function withoutForeignTracking(layout: CgroupLayout, writable: readonly string[]): CgroupLayout {
  const { unified, ...rest } = layout;
  const hierarchies = layout.hierarchies.filter(
    (hierarchy) => !hierarchy.controllers.includes('name=systemd') || writable.includes(placeIn(hierarchy)),
  );
  const isKept = unified === undefined || layout.mode !== 'hybrid' || writable.includes(placeInUnified(unified));
  if (isKept) return { ...layout, hierarchies };
  return { ...rest, mode: 'v1', hierarchies };
}

function placeIn({ mountPoint, ownPath }: CgroupHierarchy): string {
  return `${mountPoint}${ownPath}`;
}

/** On cgroup2 a process cannot stay in a directory whose children have controllers: the container's is made beside tsrun's own. */
function placeInUnified({ mountPoint, ownPath }: UnifiedHierarchy): string {
  return `${mountPoint}${ownPath.slice(0, Math.max(1, ownPath.lastIndexOf('/')))}`;
}
