import type { Capabilities, Config, Linux, Mount } from './generated/config.ts';
import { specVersionMax } from './versions.ts';

/** For whom the template is. */
export interface TemplateOptions {
  /** For a user without privileges: a user namespace with that user as root, no network namespace, no limits. */
  readonly rootless: boolean;
  /** User and group on the host that become root in a rootless container. Default: 0. */
  readonly uid?: number;
  readonly gid?: number;
  /** Whether to add a cgroup namespace, as is usual on hosts with cgroup v2. Default: false. */
  readonly cgroupNamespace?: boolean;
}

/** A config to start from: a shell on a terminal in `rootfs`, isolated as is usual. What `tsrun spec` writes. */
export function specTemplate(options: TemplateOptions): Config {
  return {
    ociVersion: specVersionMax,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: templateCapabilities(),
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'tsrun',
    mounts: options.rootless ? rootlessMounts() : templateMounts(),
    linux: templateLinux(options),
  };
}

// Ambient capabilities are left out: without inheritable ones, which CVE-2022-29162 speaks against, they have no effect.
function templateCapabilities(): Capabilities {
  const names = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
  return { bounding: [...names], effective: [...names], permitted: [...names] };
}

function templateMounts(): Mount[] {
  const guarded = ['nosuid', 'noexec', 'nodev'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...guarded, 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: [...guarded] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...guarded, 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...guarded, 'relatime', 'ro'] },
  ];
}

// A user namespace without a network namespace of its own may not mount sysfs, and maps no group 5.
function rootlessMounts(): Mount[] {
  return templateMounts().map((mount) => {
    if (mount.destination === '/sys') {
      const options = ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'];
      return { destination: '/sys', type: 'none', source: '/sys', options };
    }
    if (mount.options === undefined) return mount;
    return { ...mount, options: mount.options.filter((option) => !/^[ug]id=/.test(option)) };
  });
}

function templateLinux({ rootless, uid = 0, gid = 0, cgroupNamespace = false }: TemplateOptions): Linux {
  const shared: Linux = {
    namespaces: [
      { type: 'pid' },
      ...(rootless ? [] : [{ type: 'network' } as const]),
      { type: 'ipc' },
      { type: 'uts' },
      { type: 'mount' },
      ...(cgroupNamespace ? [{ type: 'cgroup' } as const] : []),
      ...(rootless ? [{ type: 'user' } as const] : []),
    ],
    maskedPaths: [
      '/proc/acpi',
      '/proc/asound',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/timer_stats',
      '/proc/sched_debug',
      '/proc/scsi',
      '/sys/firmware',
      '/sys/devices/virtual/tpm',
    ],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  };
  if (!rootless) return { resources: { devices: [{ allow: false, access: 'rwm' }] }, ...shared };
  return {
    uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
    ...shared,
  };
}
