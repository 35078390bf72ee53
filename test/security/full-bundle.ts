import { mkdirSync, writeFileSync } from 'node:fs';
import { setUserNamespace } from '../live/support/namespaces.ts';
import type { BaseConfig, Rig } from '../live/support/rig.ts';

/** A bundle that makes a plan use as many kinds of steps as this machine has; with a user namespace, those of one as well. */
export function fullBundle(rig: Rig, options: { readonly user: boolean }): string {
  const source = rig.fresh('source');
  mkdirSync(source, { mode: 0o755 });
  writeFileSync(`${source}/file`, 'content');
  return rig.bundle({
    args: ['sleep', '1000'],
    fill: (rootfs) => {
      mkdirSync(`${rootfs}/var/cache`, { recursive: true });
      writeFileSync(`${rootfs}/var/cache/kept`, 'kept');
      if (options.user) prepareForUser(rootfs);
    },
    change: (config) => {
      fill(config, source);
      if (options.user) inUserNamespace(config, source);
    },
  });
}

function fill(config: BaseConfig, source: string): void {
  Object.assign(config.process, {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    cwd: '/work/here',
    user: { uid: 1, gid: 2, umask: 0o27, additionalGids: [3, 4] },
    noNewPrivileges: true,
    oomScoreAdj: 100,
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 512, hard: 1024 }],
    scheduler: { policy: 'SCHED_BATCH', nice: 5 },
    ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 7 },
    capabilities: { bounding: ['CAP_CHOWN'], effective: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'] },
  });
  config.domainname = 'example.org';
  config.hooks = { createRuntime: [{ path: '/bin/true' }] };
  config.mounts.push(
    { destination: '/var/cache', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'rprivate'] },
    { destination: '/data', type: 'bind', source, options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec', 'rslave'] },
    { destination: '/etc/one', type: 'bind', source: `${source}/file`, options: ['bind', 'noatime'] },
    { destination: '/tree', type: 'bind', source, options: ['rbind', 'rro'] },
  );
  Object.assign(config.linux, {
    namespaces: [...(config.linux.namespaces ?? []), { type: 'time' }],
    timeOffsets: { boottime: { secs: 86400 } },
    devices: [{ type: 'p', path: '/dev/a/fifo', fileMode: 0o644 }],
    rootfsPropagation: 'rslave',
    sysctl: { 'net.ipv4.ip_forward': '1', 'kernel.shmmax': '65536' },
    personality: { domain: 'LINUX' },
  });
  config.linux.resources = { ...config.linux.resources, pids: { limit: 100 } };
}

/** The root of a user namespace can make nothing in directories of the host's root. */
function prepareForUser(rootfs: string): void {
  for (const name of ['own', 'data', 'tree', 'work/here', 'dev/a']) mkdirSync(`${rootfs}/${name}`, { recursive: true });
  writeFileSync(`${rootfs}/etc/one`, '');
}

function inUserNamespace(config: BaseConfig, source: string): void {
  setUserNamespace(config);
  // The files of this rootfs have owners that the namespace does not map: they cannot be copied into a tmpfs of its own.
  config.mounts = config.mounts.filter(({ options }) => options?.includes('tmpcopyup') !== true);
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  config.mounts.push({
    destination: '/own',
    type: 'bind',
    source,
    options: ['bind', 'idmap'],
    uidMappings: mappings,
    gidMappings: mappings,
  });
  // Only the host's root may choose it.
  delete config.process.ioPriority;
}
