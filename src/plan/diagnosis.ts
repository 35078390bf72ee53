import { capabilityNumbers } from '../util/capability-names.ts';
import { cgroupPlaces } from './base/cgroup-layout.ts';
import { holdsCapability, type HostFacts, type OpenFilesLimit } from './base/facts.ts';
import { remedies } from '../util/remedies.ts';

/** What is known of a host, and of the user who asks. */
export interface DiagnosisFacts {
  readonly host: HostFacts;
  /** As uname -r prints it. */
  readonly release: string;
  /** Name of the user, where there is one. */
  readonly user: string | undefined;
  /** File below /proc/sys, such as `user/max_user_namespaces` -> its text; those that are not there are left out. */
  readonly settings: Readonly<Record<string, string>>;
  /** Those that the kernel has loaded (/proc/filesystems). */
  readonly fileSystems: readonly string[];
  /** Version of libseccomp; undefined without the library. */
  readonly libseccomp: string | undefined;
  /** Name of a program -> where it was found; those that were not are left out. */
  readonly programs: Readonly<Record<string, string>>;
  /** How many ids of each kind the user may use beside the own one (man 5 subuid). */
  readonly subordinate: { readonly uid: number; readonly gid: number };
  /** systemd is the service manager of this host. */
  readonly systemd: boolean;
  /** The user has a session bus. */
  readonly userBus: boolean;
  /** Those of `cgroupPlaces` where this user may make cgroups. */
  readonly writableCgroups: readonly string[];
  /** The directory for the state of containers; `isWritable` is of the nearest that is there. */
  readonly root: { readonly path: string; readonly isWritable: boolean };
  readonly openFiles: OpenFilesLimit | undefined;
  /** What is configured to call tsrun: each a file. */
  readonly callers: readonly string[];
  /** A planner of this user listens. */
  readonly planner: boolean;
}

/** What a host can do, or cannot. */
export interface Diagnosis {
  readonly area: 'kernel' | 'user' | 'cgroups' | 'security' | 'storage' | 'engines';
  /** `missing`: without it no container can be made as this user. `limited`: some configurations will be refused, or less safe. */
  readonly state: 'ok' | 'limited' | 'missing';
  readonly message: string;
  /** What mends it. */
  readonly remedy?: string;
}

const CHECKS: readonly ((facts: DiagnosisFacts) => readonly Diagnosis[])[] = [
  judgeKernel,
  judgeNamespaces,
  judgePrivileges,
  judgeIdTools,
  judgeOpenFiles,
  judgeCgroups,
  judgeManager,
  judgeSeccomp,
  judgeModules,
  judgeRoot,
  judgeOverlay,
  judgeCallers,
  judgePlanner,
];

/** Everything that is to be said of a host, in the order of the areas. */
export function diagnose(facts: DiagnosisFacts): readonly Diagnosis[] {
  return CHECKS.flatMap((check) => check(facts));
}

function judgeKernel({ host, release }: DiagnosisFacts): Diagnosis[] {
  const kernel: Diagnosis = { area: 'kernel', state: 'ok', message: `Linux ${release} on ${host.arch}` };
  if (host.kernel.mountSetattr) return [kernel];
  const message = 'no mount_setattr(2): recursive mount options (rro, ...) and id-mapped mounts are refused';
  return [kernel, { area: 'kernel', state: 'limited', message, remedy: 'a kernel from 5.12 on' }];
}

/** File below /proc/self/ns -> what a config calls it. */
const NAMESPACES = {
  ...{ cgroup: 'cgroup', ipc: 'ipc', mnt: 'mount', net: 'network' },
  ...{ pid: 'pid', time: 'time', user: 'user', uts: 'uts' },
} as const;

function judgeNamespaces({ host, settings }: DiagnosisFacts): Diagnosis[] {
  const names = Object.keys(NAMESPACES) as (keyof typeof NAMESPACES)[];
  const isThere = (name: keyof typeof NAMESPACES): boolean => {
    return host.namespaces[name] !== undefined && settings[`user/max_${name}_namespaces`]?.trim() !== '0';
  };
  const absent = names.filter((name) => !isThere(name)).map((name) => NAMESPACES[name]);
  const present = names.filter(isThere).map((name) => NAMESPACES[name]);
  const found: Diagnosis = { area: 'kernel', state: 'ok', message: `namespaces: ${present.join(', ')}` };
  if (absent.length === 0) return [found];
  const remedy = 'a kernel with CONFIG_NAMESPACES, and the sysctls user.max_*_namespaces above 0';
  return [
    found,
    { area: 'kernel', state: 'limited', message: `namespaces not to be had: ${absent.join(', ')}`, remedy },
  ];
}

/** What a container of root needs of them, and what is lost without. */
const PRIVILEGES: readonly (readonly [name: string, state: 'limited' | 'missing', loss: string])[] = [
  ['CAP_SYS_ADMIN', 'missing', 'no namespace can be made and nothing mounted'],
  ['CAP_SYS_RESOURCE', 'limited', 'resource limits above those of tsrun itself are refused'],
  ['CAP_NET_ADMIN', 'limited', 'the loopback interface stays down, and no network device can be moved'],
  ['CAP_MKNOD', 'limited', 'devices are bound from the host, not made'],
  ['CAP_SYS_PTRACE', 'limited', 'containers in user namespaces of their own cannot be entered'],
];

function judgePrivileges(facts: DiagnosisFacts): Diagnosis[] {
  const { euid } = facts.host.identity;
  if (euid !== 0) return judgeOrdinaryUser(facts);
  const lost = PRIVILEGES.filter(([name]) => !holdsCapability(facts.host, capabilityNumbers.get(name) ?? 0));
  const found: Diagnosis = { area: 'user', state: 'ok', message: 'root' };
  const remedy = 'whoever starts tsrun (a container, a unit with CapabilityBoundingSet=) has to leave it';
  return [
    ...(lost.some(([, state]) => state === 'missing') ? [] : [found]),
    ...lost.map(
      ([name, state, loss]) => ({ area: 'user', state, message: `root without ${name}: ${loss}`, remedy }) as const,
    ),
  ];
}

/** Each sysctl that keeps ordinary users from namespaces, with the value that does not. */
const BARRIERS: readonly (readonly [file: string, open: string])[] = [
  ['kernel/unprivileged_userns_clone', '1'],
  ['kernel/apparmor_restrict_unprivileged_userns', '0'],
];

function judgeOrdinaryUser({ host, user, settings }: DiagnosisFacts): Diagnosis[] {
  const who = `user ${host.identity.euid}${user === undefined ? '' : ` (${user})`}`;
  const found: Diagnosis = {
    area: 'user',
    state: 'ok',
    message: `${who}: containers need a user namespace ("tsrun spec --rootless" writes such a config)`,
  };
  const barriers = BARRIERS.filter(([file, open]) => settings[file] !== undefined && settings[file].trim() !== open);
  return [
    found,
    ...barriers.map(([file, open]): Diagnosis => {
      const name = file.replaceAll('/', '.');
      const message = `the sysctl ${name} keeps ordinary users from making user namespaces`;
      return { area: 'user', state: 'missing', message, remedy: `sysctl -w ${name}=${open}` };
    }),
  ];
}

function judgeIdTools({ host, user, programs, subordinate }: DiagnosisFacts): Diagnosis[] {
  if (host.identity.euid === 0) return [];
  const name = user ?? String(host.identity.euid);
  return (['uid', 'gid'] as const).flatMap((kind): Diagnosis[] => {
    const tool = `new${kind}map`;
    const only = `only one ${kind} can be mapped`;
    if (programs[tool] === undefined) {
      const remedy = remedies.idTool;
      return [{ area: 'user', state: 'limited', message: `no ${tool}: ${only}`, remedy }];
    }
    const count = subordinate[kind];
    if (count > 0)
      return [{ area: 'user', state: 'ok', message: `${count} subordinate ${kind}s, mapped by ${programs[tool]}` }];
    const remedy = remedies.addSubordinateIds({ kind, name, first: 100_000, count: 65_536 });
    return [{ area: 'user', state: 'limited', message: `no subordinate ${kind}s: ${only}`, remedy }];
  });
}

const FILES_WANTED = 1024n;

function judgeOpenFiles({ openFiles }: DiagnosisFacts): Diagnosis[] {
  if (openFiles === undefined || openFiles.hard >= FILES_WANTED) return [];
  const message = `at most ${openFiles.hard} open files (RLIMIT_NOFILE), which a config seldom means to go below`;
  return [{ area: 'user', state: 'limited', message, remedy: 'ulimit -n, or LimitNOFILE= of the unit' }];
}

const CONTROLLERS = ['cpu', 'cpuset', 'io', 'memory', 'pids'];
/** Names of controllers of v1 that v2 calls differently. */
const OLD_NAMES: Readonly<Record<string, string>> = { blkio: 'io' };

function judgeCgroups(facts: DiagnosisFacts): Diagnosis[] {
  const { mode, hierarchies, unified } = facts.host.cgroup;
  if (mode === 'none') {
    const remedy = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup, where no service manager does it';
    return [{ area: 'cgroups', state: 'limited', message: 'none are mounted: nothing is limited or counted', remedy }];
  }
  const controllers = new Set([...hierarchies.flatMap((one) => one.controllers), ...(unified?.controllers ?? [])]);
  const names = [...controllers].filter((name) => !name.startsWith('name=')).map((name) => OLD_NAMES[name] ?? name);
  const version = { v1: 'version 1', v2: 'version 2', hybrid: 'version 1, with version 2 beside it (hybrid)' }[mode];
  const found: Diagnosis = { area: 'cgroups', state: 'ok', message: `${version}: ${names.sort().join(', ')}` };
  const absent = CONTROLLERS.filter((name) => !names.includes(name));
  const remedy =
    facts.host.identity.euid === 0
      ? 'the kernel command line may disable them (cgroup_disable=, cgroup_enable=memory)'
      : 'Delegate=yes for user@.service (systemctl edit user@.service)';
  const message = `no controllers ${absent.join(', ')}: what limits them is refused`;
  return [
    found,
    ...(absent.length === 0 ? [] : [{ area: 'cgroups', state: 'limited', message, remedy } as const]),
    ...judgeDelegation(facts),
  ];
}

function judgeDelegation({ host, writableCgroups }: DiagnosisFacts): Diagnosis[] {
  const closed = cgroupPlaces(host.cgroup).filter((place) => !writableCgroups.includes(place));
  if (closed.length === 0) return [];
  const message = `no cgroups can be made in ${closed.join(', ')}`;
  return [{ area: 'cgroups', state: 'limited', message, remedy: delegationRemedy(host) }];
}

/** What lets cgroups be made where they cannot. */
export function delegationRemedy({ identity, cgroup }: HostFacts): string {
  if (identity.euid === 0) return remedies.writableCgroups;
  if (cgroup.mode !== 'v2') return remedies.oldCgroups;
  return remedies.delegation;
}

function judgeManager({ systemd, userBus, host }: DiagnosisFacts): Diagnosis[] {
  const message = (text: string): Diagnosis => ({ area: 'cgroups', state: 'ok', message: text });
  if (!systemd) return [message('no systemd: --systemd-cgroup is refused')];
  if (host.identity.euid === 0 || userBus) return [message('systemd makes them with --systemd-cgroup')];
  const remedy = `loginctl enable-linger, and XDG_RUNTIME_DIR=/run/user/${host.identity.euid}`;
  return [{ area: 'cgroups', state: 'limited', message: 'no bus of the session: --systemd-cgroup is refused', remedy }];
}

function judgeSeccomp({ libseccomp, settings }: DiagnosisFacts): Diagnosis[] {
  const actions = settings['kernel/seccomp/actions_avail'];
  if (actions === undefined) {
    const remedy = 'a kernel with CONFIG_SECCOMP_FILTER';
    return [{ area: 'security', state: 'limited', message: 'no seccomp: configs with a filter are refused', remedy }];
  }
  if (libseccomp === undefined) {
    const remedy = 'apt install libseccomp2, or the package of your distribution with libseccomp';
    return [
      { area: 'security', state: 'limited', message: 'no libseccomp: configs with a filter are refused', remedy },
    ];
  }
  return [{ area: 'security', state: 'ok', message: `seccomp by libseccomp ${libseccomp}: ${actions.trim()}` }];
}

function judgeModules({ host }: DiagnosisFacts): Diagnosis[] {
  const { apparmor, selinux } = host.lsm;
  const names = [...(apparmor ? ['AppArmor'] : []), ...(selinux ? ['SELinux'] : [])];
  const message =
    names.length === 0 ? 'neither AppArmor nor SELinux: profiles and labels are refused' : names.join(', ');
  return [{ area: 'security', state: 'ok', message }];
}

function judgeRoot({ root }: DiagnosisFacts): Diagnosis[] {
  const shown = JSON.stringify(root.path);
  if (root.isWritable) return [{ area: 'storage', state: 'ok', message: `state of containers in ${shown}` }];
  const remedy = '--root DIRECTORY, or XDG_RUNTIME_DIR for an ordinary user';
  return [{ area: 'storage', state: 'missing', message: `${shown} cannot be written to`, remedy }];
}

function judgeOverlay({ fileSystems }: DiagnosisFacts): Diagnosis[] {
  if (fileSystems.includes('overlay')) return [{ area: 'storage', state: 'ok', message: 'overlay file systems' }];
  const message = 'no overlay file system is loaded: mounts of type "overlay" may be refused';
  return [{ area: 'storage', state: 'limited', message, remedy: 'modprobe overlay' }];
}

/** Program -> what it does with tsrun. */
const ENGINES = ['podman', 'buildah', 'docker', 'containerd', 'crio'];

/** Where it is in PATH, containerd finds it without configuration. */
const SHIM = 'containerd-shim-tsrun-v2';

function judgeCallers({ callers, programs }: DiagnosisFacts): Diagnosis[] {
  const engines = ENGINES.filter((name) => programs[name] !== undefined);
  if (engines.length === 0) return [];
  const named = callers.map((file) => JSON.stringify(file)).join(', ');
  const known = [
    ...(callers.length > 0 ? [`tsrun is named in ${named}`] : []),
    ...(programs[SHIM] === undefined ? [] : [`containerd and docker find its shim as "io.containerd.tsrun.v2"`]),
  ];
  const message = known.length > 0 ? known.join('; ') : 'none is configured for tsrun (docs/engines.md says how)';
  return [{ area: 'engines', state: 'ok', message: `${engines.join(', ')} installed; ${message}` }];
}

function judgePlanner({ planner }: DiagnosisFacts): Diagnosis[] {
  const message = planner
    ? 'a planner serves the commands of this user'
    : 'no planner: every command starts an engine of its own (docs/planner.md)';
  return [{ area: 'engines', state: 'ok', message }];
}
