import type { Issue } from '../../errors.ts';
import { isBindMount } from '../bind-mount.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, hasNamespace, itemsOf, makesNamespace } from './draft.ts';

const CHECKS = [
  findHostNamespaces,
  findHostRoot,
  findStrongCapabilities,
  findNewPrivileges,
  findNoFilter,
  findWritableCgroups,
  findHostDirectories,
  findAllDevices,
  findOpenProc,
] as const;

/** What a valid config leaves open that a container usually closes. */
export function findWeakSpots(config: DraftConfig): readonly Issue[] {
  return CHECKS.flatMap((check) => check(config));
}

/** Namespace -> what a container shares without one of its own. */
const SHARED = {
  mount: 'every mount of the host is its own to see',
  pid: 'it sees and can signal processes of the host',
  network: 'its network is that of the host, with the abstract sockets of every service there',
  ipc: 'it reaches shared memory and message queues of the host',
  uts: 'the host name is that of the host',
} as const;

function findHostNamespaces(config: DraftConfig): Issue[] {
  return (Object.keys(SHARED) as (keyof typeof SHARED)[])
    .filter((type) => !hasNamespace(config, type))
    .map((type) => ({ pointer: '/linux/namespaces', message: `has none of type ${quote(type)}: ${SHARED[type]}` }));
}

function findHostRoot(config: DraftConfig): Issue[] {
  if (hasNamespace(config, 'user') || (config.process?.user?.uid ?? 0) !== 0) return [];
  const message = 'is root, and without a user namespace that is root of the host, whatever else holds it back';
  return [{ pointer: '/process/user/uid', message }];
}

/** Each is as good as being root of the host, or nearly so (man 7 capabilities). */
const STRONG = [
  'CAP_SYS_ADMIN',
  'CAP_SYS_MODULE',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_BOOT',
  'CAP_DAC_READ_SEARCH',
  'CAP_BPF',
  'CAP_PERFMON',
  'CAP_MAC_ADMIN',
  'CAP_MAC_OVERRIDE',
];

/** A program gets them at once, or by executing a file; in a user namespace of its own they are good for what is in it alone. */
function findStrongCapabilities(config: DraftConfig): Issue[] {
  if (makesNamespace(config, 'user')) return [];
  return (['bounding', 'permitted'] as const).flatMap((set) => {
    const found = STRONG.filter((name) => config.process?.capabilities?.[set]?.includes(name) === true);
    if (found.length === 0) return [];
    const message = `holds ${found.join(', ')}: with any of them a program can take over the host`;
    return [{ pointer: `/process/capabilities/${set}`, message }];
  });
}

function findNewPrivileges({ process }: DraftConfig): Issue[] {
  if (process === undefined || process.noNewPrivileges === true) return [];
  const message = 'is not true: set-user-ID files and file capabilities of the image give privileges to programs';
  return [{ pointer: '/process/noNewPrivileges', message }];
}

function findNoFilter({ linux }: DraftConfig): Issue[] {
  if (linux?.seccomp !== undefined) return [];
  return [{ pointer: '/linux/seccomp', message: 'is absent: every system call of the kernel is there to attack' }];
}

function findWritableCgroups(config: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [{ type, options }, pointer] of itemsOf(config.mounts, '/mounts')) {
    if ((type !== 'cgroup' && type !== 'cgroup2') || options?.includes('ro') === true) continue;
    const reason = hasNamespace(config, 'cgroup') ? '' : ', and those of the host with them';
    issues.push({ pointer, message: `mounts cgroups to write to: the container can change its own limits${reason}` });
  }
  return issues;
}

/** What is behind them is the host's to lose, beside everything below. */
const HOST_DIRECTORIES = ['/', '/boot', '/dev', '/etc', '/proc', '/root', '/run', '/sys', '/usr', '/var', '/var/run'];
const SOCKET = /\/(docker|containerd|podman|crio)\.sock$/;

function findHostDirectories({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    const { source = '', options } = mount;
    if (!isBindMount(mount)) continue;
    if (SOCKET.test(source)) {
      const message = `is ${quote(source)}: whoever may talk to it can make containers that are root of the host`;
      issues.push({ pointer: `${pointer}/source`, message });
    } else if (HOST_DIRECTORIES.includes(source) && options?.includes('ro') !== true) {
      issues.push({ pointer: `${pointer}/source`, message: `is ${quote(source)} of the host, to write to` });
    }
  }
  return issues;
}

/** The last rule that says something about all devices is the one that counts. */
function findAllDevices({ linux }: DraftConfig): Issue[] {
  const about = [...itemsOf(linux?.resources?.devices, '/linux/resources/devices')].filter(
    ([{ type = 'a', major, minor }]) => (type === 'a' || type === '') && major === undefined && minor === undefined,
  );
  const [rule, pointer] = about.at(-1) ?? [];
  if (rule?.allow !== true || pointer === undefined) return [];
  return [{ pointer, message: 'allows every device: with one of a disk a program reads and writes the host' }];
}

/** What of /proc and /sys tells about the host, or changes it. */
function findOpenProc(config: DraftConfig): Issue[] {
  const hasProc = [...itemsOf(config.mounts, '/mounts')].some(([{ type }]) => type === 'proc');
  if (!hasProc || makesNamespace(config, 'user')) return [];
  return (['maskedPaths', 'readonlyPaths'] as const)
    .filter((name) => (config.linux?.[name] ?? []).length === 0)
    .map((name) => ({
      pointer: `/linux/${name}`,
      message: `is ${config.linux?.[name] === undefined ? 'absent' : 'empty'}: files of /proc that are the host's are ${name === 'maskedPaths' ? 'there to read' : 'there to write'}`,
    }));
}
