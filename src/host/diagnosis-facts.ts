import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Files of /proc/sys that say what may be made here. */
const SETTINGS = [
  ...['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'].map((name) => `user/max_${name}_namespaces`),
  ...[
    'kernel/unprivileged_userns_clone',
    'kernel/apparmor_restrict_unprivileged_userns',
    'kernel/seccomp/actions_avail',
  ],
];
const PROGRAMS = [
  ...['newuidmap', 'newgidmap', 'podman', 'buildah', 'docker', 'containerd', 'crio', 'criu'],
  'containerd-shim-tsrun-v2',
];
/** Where engines keep which runtimes they call. */
const ENGINE_FILES = [
  '/etc/docker/daemon.json',
  '/etc/containerd/config.toml',
  '/etc/containers/containers.conf',
  '/usr/share/containers/containers.conf',
  '/etc/crio/crio.conf',
];
/** Directories of more such files. */
const ENGINE_DIRECTORIES = [
  '/etc/containers/containers.conf.d',
  '/usr/share/containers/containers.conf.d',
  '/etc/crio/crio.conf.d',
];

/** The release of the kernel, as uname -r prints it. */
export function readRelease(): string {
  return readOptional('/proc/sys/kernel/osrelease')?.trimEnd() ?? '';
}

/** The texts of sysctls that are there. Shape: file below /proc/sys -> text. */
export function readSettings(): Record<string, string> {
  const found = SETTINGS.map((name) => [name, readOptional(`/proc/sys/${name}`)] as const);
  return Object.fromEntries(found.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])));
}

/** The file systems that the kernel has loaded. Source: man 5 proc. */
export function readFileSystems(): string[] {
  const lines = (readOptional('/proc/filesystems') ?? '').split('\n');
  return lines.map((line) => line.split('\t')[1] ?? '').filter((name) => name !== '');
}

/** Where programs that containers or engines need are, by the caller's PATH. */
export function findPrograms(searchPath = ''): Record<string, string> {
  const directories = searchPath.split(':').filter((directory) => directory.startsWith('/'));
  const found = PROGRAMS.map(
    (name) => [name, directories.map((one) => path.join(one, name)).find(isExecutable)] as const,
  );
  return Object.fromEntries(found.flatMap(([name, file]) => (file === undefined ? [] : [[name, file]])));
}

/** The files of engines that name tsrun. */
export function findCallers(): string[] {
  const more = ENGINE_DIRECTORIES.flatMap((directory) =>
    listOptional(directory).map((name) => path.join(directory, name)),
  );
  return [...ENGINE_FILES, ...more].filter((file) => readOptional(file)?.includes('tsrun') === true);
}

/** The name of a user, from /etc/passwd alone. */
export function readUserName(uid: number): string | undefined {
  const lines = (readOptional('/etc/passwd') ?? '').split('\n').map((line) => line.split(':'));
  return lines.find(([, , id]) => id === String(uid))?.[0];
}

/** How many subordinate ids a user has, from the files alone. Source: man 5 subuid. */
export function countSubordinates(kind: 'uid' | 'gid', uid: number, name: string | undefined): number {
  const lines = (readOptional(`/etc/sub${kind}`) ?? '').split('\n').map((line) => line.split(':'));
  const own = lines.filter(
    ([owner]) => owner !== undefined && owner !== '' && (owner === name || owner === String(uid)),
  );
  return own.reduce((sum, [, , count]) => sum + (Number.parseInt(count ?? '', 10) || 0), 0);
}

/** Whether systemd runs as the service manager. Source: man 3 sd_booted. */
export function hasSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

/** Whether this process may make files in a directory, or make the directory itself. */
export function canMake(directory: string): boolean {
  for (let place = directory; ; place = path.dirname(place)) {
    if (!existsSync(place) && place !== '/') continue;
    return isDirectory(place) && isAccessible(place, constants.W_OK | constants.X_OK);
  }
}

/** Whether a file of any kind is there. */
export function isThere(file: string): boolean {
  return existsSync(file);
}

function isDirectory(file: string): boolean {
  return statSync(file).isDirectory();
}

function isExecutable(file: string): boolean {
  return existsSync(file) && !isDirectory(file) && isAccessible(file, constants.X_OK);
}

function isAccessible(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

function listOptional(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
