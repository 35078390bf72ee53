/** How the control groups of this machine are mounted, and where in them tsrun itself runs. */
export interface CgroupLayout {
  /** `hybrid` is v1 controllers plus a cgroup2 mount beside them; `none` when nothing is mounted. */
  readonly mode: 'v1' | 'hybrid' | 'v2' | 'none';
  /** v1 hierarchies, in the order of /proc/self/cgroup. */
  readonly hierarchies: readonly CgroupHierarchy[];
  /** The cgroup2 mount, also on a hybrid host. */
  readonly unified?: UnifiedHierarchy;
}

export interface CgroupHierarchy {
  /** Controllers mounted together, such as `['cpu', 'cpuacct']` or `['name=systemd']`. */
  readonly controllers: readonly string[];
  /** Where the hierarchy is mounted, such as `/sys/fs/cgroup/memory`. */
  readonly mountPoint: string;
  /** tsrun's own cgroup, relative to the mount point, starting with `/`. */
  readonly ownPath: string;
}

export interface UnifiedHierarchy {
  readonly mountPoint: string;
  readonly ownPath: string;
  /** Controllers of the root's cgroup.controllers. */
  readonly controllers: readonly string[];
}
