/** Why a program of the runtime-tools fails with tsrun. */
export interface ExpectedFailure {
  /**
   * - `program`  it asks for what the specification does not say, or not any more, or cannot succeed at all
   * - `machine`  it needs what not every kernel or machine has, or how it ends is a matter of speed; on others it may pass
   * - `tsrun`    tsrun does otherwise
   */
  readonly fault: 'program' | 'machine' | 'tsrun';
  readonly reason: string;
}

const COMPARES_POINTERS: ExpectedFailure = {
  fault: 'program',
  reason: 'it compares the addresses of the wanted and the found limit instead of the limits, which never agree',
};
const NO_HUGETLB: ExpectedFailure = { fault: 'machine', reason: 'no cgroup v1 hierarchy has the controller hugetlb' };
const NO_NETWORK: ExpectedFailure = {
  fault: 'machine',
  reason:
    'it panics where lo is the only network interface, as in the namespace that it runs in here; and no cgroup v1 hierarchy has the controllers net_cls and net_prio',
};
const NO_KERNEL_MEMORY: ExpectedFailure = {
  fault: 'machine',
  reason: 'it wants memory.kernel to be set, a limit that Linux dropped in 5.16; memory.kernelTCP is set',
};
const NO_LEAF_WEIGHT: ExpectedFailure = {
  fault: 'machine',
  reason: 'it wants blkio.leaf_weight, which went with the CFQ scheduler in Linux 5.0',
};

/** Program -> why it fails with tsrun. Every other program has to pass. */
export const EXPECTED_FAILURES: Readonly<Record<string, ExpectedFailure>> = {
  delete_resources: COMPARES_POINTERS,
  hooks: {
    fault: 'program',
    reason:
      'it wants lines that its own hooks do not write ("post-start1" for "post-start1 called"), and panics if it finds them',
  },
  linux_cgroups_blkio: NO_LEAF_WEIGHT,
  linux_cgroups_hugetlb: NO_HUGETLB,
  linux_cgroups_memory: NO_KERNEL_MEMORY,
  linux_cgroups_network: NO_NETWORK,
  linux_cgroups_pids: COMPARES_POINTERS,
  linux_cgroups_relative_blkio: NO_LEAF_WEIGHT,
  linux_cgroups_relative_hugetlb: NO_HUGETLB,
  linux_cgroups_relative_memory: NO_KERNEL_MEMORY,
  linux_cgroups_relative_network: NO_NETWORK,
  linux_cgroups_relative_pids: COMPARES_POINTERS,
  linux_process_apparmor_profile: {
    fault: 'machine',
    reason: 'the kernel has no AppArmor, and a profile that cannot be applied is an error',
  },
  misc_props: {
    fault: 'program',
    reason:
      'it creates a container for a program that it did not copy into the root file system, and wants that to succeed',
  },
  pidfile: {
    fault: 'machine',
    reason:
      'it kills a container whose program, true, ends at once; where it has ended before, kill is an error (runtime.md, Kill)',
  },
  poststart_fail: {
    fault: 'program',
    reason:
      'it wants a failing poststart hook to be a warning; since 1.3.0 it is an error (runtime.md, Lifecycle, step 9)',
  },
  prestart: {
    fault: 'program',
    reason: 'it wants prestart hooks to be called by start; since 1.0.2 they are part of create (config.md, Prestart)',
  },
  process_capabilities: {
    fault: 'machine',
    reason: 'it wants CAP_SYS_RESOURCE, which a machine that runs in a container itself may not have',
  },
  process_capabilities_fail: {
    fault: 'program',
    reason: 'it wants an unknown capability to be an error; since 1.0.2 it is a warning (config.md, Linux Process)',
  },
  process_rlimits: {
    fault: 'machine',
    reason:
      'built with Go 1.19 or later, its runtimetest raises the soft limit of descriptors itself before it looks at it',
  },
  start: {
    fault: 'program',
    reason: 'it says that start of a config without process has to be an error, and wants it to succeed',
  },
};
