import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { readCgroupLayout } from '../../../src/host/cgroup-layout.ts';
import { testUser } from './surroundings.ts';

/** What the kernel of this machine has: cgroup2 alone, or hierarchies of version 1, beside which a cgroup2 mount is only an extra. */
export const cgroupLayout = readCgroupLayout('/proc/self');
export const isUnified = cgroupLayout.mode === 'v2';

/** Whether containers of the tests can have a controller: a user's session has only those that systemd gives it. */
export function hasController(name: string): boolean {
  if (testUser !== undefined)
    return readFileSync(path.join(sessionCgroup(testUser), 'cgroup.controllers'), 'utf8')
      .split(/\s/)
      .includes(name);
  const { hierarchies, unified } = cgroupLayout;
  return (
    hierarchies.some(({ controllers }) => controllers.includes(name)) || unified?.controllers.includes(name) === true
  );
}

function sessionCgroup(uid: number): string {
  return `/sys/fs/cgroup/user.slice/user-${uid}.slice/user@${uid}.service`;
}

/** Controller -> directory of a process's cgroup on the host, for hierarchies of version 1; `unified` for version 2. */
export function cgroupsOf(pid: number): Map<string, string> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [before = '', behind = ''] = line.split(' - ');
      const [type, , options = ''] = behind.split(' ');
      return type === 'cgroup' || type === 'cgroup2'
        ? [{ type, place: before.split(' ')[4] ?? '', options: options.split(',') }]
        : [];
    });
  const found = new Map<string, string>();
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')) {
    const [, controllers = '', ...rest] = line.split(':');
    const inside = rest.join(':');
    if (controllers === '') {
      const place = mounts.find(({ type }) => type === 'cgroup2')?.place;
      if (place !== undefined) found.set('unified', path.join(place, inside));
      continue;
    }
    for (const controller of controllers.split(',')) {
      const place = mounts.find(({ options }) => options.includes(controller))?.place;
      if (place !== undefined) found.set(controller, path.join(place, inside));
    }
  }
  return found;
}

/** Text of a control file of a process's cgroup, trimmed; undefined where the kernel has no such controller or file. */
export function readCgroup(directories: Map<string, string>, controller: string, file: string): string | undefined {
  // The v1 hierarchy is the one that counts where there is one; otherwise everything is in the cgroup2 directory.
  const directory = directories.get(controller) ?? directories.get('unified') ?? '/nowhere';
  const place = path.join(directory, file);
  return existsSync(place) ? readFileSync(place, 'utf8').trim() : undefined;
}

/** The number behind a word of a flat keyed file, such as `oom_kill 3`. */
export function keyedNumber(text: string | undefined, key: string): number {
  const value = new RegExp(`^${key} (\\d+)$`, 'm').exec(text ?? '')?.[1];
  if (value === undefined) throw new Error(`no ${JSON.stringify(key)} in ${JSON.stringify(text)}`);
  return Number(value);
}

/** Microseconds of processor time that a process's cgroup has used. */
export function cpuTimeUs(directories: Map<string, string>): number {
  if (isUnified) return keyedNumber(readCgroup(directories, 'cpu', 'cpu.stat'), 'usage_usec');
  return Number(readCgroup(directories, 'cpuacct', 'cpuacct.usage')) / 1000;
}

/** Runs with a cgroup of its own in the hierarchies of some controllers, and takes it away again. */
export async function withEmptyCgroups(
  name: string,
  controllers: readonly string[],
  body: (directories: string[]) => Promise<void>,
): Promise<void> {
  const { hierarchies, unified } = cgroupLayout;
  const v1 = hierarchies.filter((one) => one.controllers.some((controller) => controllers.includes(controller)));
  const places = v1.length > 0 ? v1 : unified === undefined ? [] : [unified];
  const directories = places.map(({ mountPoint }) => path.join(mountPoint, name));
  for (const directory of directories) mkdirSync(directory);
  try {
    await body(directories);
  } finally {
    for (const directory of directories) rmdirSync(directory);
  }
}
