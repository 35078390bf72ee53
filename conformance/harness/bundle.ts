import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Config, Linux, Mount, NamespaceType, Process } from '../../src/spec/generated/config.ts';

/** A config whose parts are there to be changed. */
export type BaseConfig = Config & {
  process: Process & { args: string[]; env: string[] };
  root: { path: string; readonly?: boolean };
  mounts: Mount[];
  linux: Linux & { namespaces: NonNullable<Linux['namespaces']> };
};

const DIRECTORIES = ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root', 'm'];
const APPLETS =
  'sh awk basename cat chmod cut date dd df dirname echo env expr false find grep head hostname id ip kill ln ls ' +
  'mkdir mknod mount mv printf ps pwd readlink rm rmdir sed seq sleep sort stat sysctl tail test touch tr true umount uname wc';

/** Makes a root file system with nothing but busybox, a few of its links, and /etc/passwd. `busybox` is linked, not copied. */
export function makeRootfs(directory: string, busybox: string): void {
  for (const name of DIRECTORIES) mkdirSync(path.join(directory, name), { recursive: true });
  linkSync(busybox, path.join(directory, 'bin/busybox'));
  for (const applet of APPLETS.split(' ')) symlinkSync('busybox', path.join(directory, 'bin', applet));
  writeFileSync(path.join(directory, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(path.join(directory, 'etc/group'), 'root:x:0:\n');
}

/** An isolated container that every runtime can make: what the requirements change. */
export function baseConfig(script: string): BaseConfig {
  const guarded = ['nosuid', 'noexec', 'nodev'];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/bin'],
      cwd: '/',
    },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...guarded, 'ro'] },
    ],
    linux: {
      namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'uts' }, { type: 'network' }],
    },
  };
}

/** Adds a namespace, or changes the one that is there. */
export function setNamespace(config: BaseConfig, type: NamespaceType, options: { readonly path?: string } = {}): void {
  removeNamespace(config, type);
  config.linux.namespaces.push({ type, ...options });
}

export function removeNamespace(config: BaseConfig, type: NamespaceType): void {
  config.linux.namespaces = config.linux.namespaces.filter((namespace) => namespace.type !== type);
}

/** A user namespace whose root is `hostId` outside. */
export function setUserNamespace(config: BaseConfig, hostId: number): void {
  setNamespace(config, 'user');
  config.linux.uidMappings = [{ containerID: 0, hostID: hostId, size: 65_536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: hostId, size: 65_536 }];
}

/** Sets what the types do not allow: `put(config, { oomScoreAdj: 'high' })` on any part of a config. */
export function put(target: object, values: Readonly<Record<string, unknown>>): void {
  Object.assign(target, values);
}
