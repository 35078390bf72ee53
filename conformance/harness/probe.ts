import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Skip } from './requirement.ts';

/** What the kernel and the machine have. Nothing here knows which runtime is tested. */

interface MountLine {
  readonly root: string;
  readonly place: string;
  readonly options: readonly string[];
  /** Such as `shared:1`, `master:2`, `unbindable`. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly superOptions: readonly string[];
}

/** Lines of a mountinfo file. */
export function parseMounts(text: string): MountLine[] {
  return text
    .split('\n')
    .filter((line) => line.includes(' - '))
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , root = '', place = '', options = '', ...propagation] = left.split(' ');
      const [type = '', , superOptions = ''] = right.split(' ');
      return { root, place, options: options.split(','), propagation, type, superOptions: superOptions.split(',') };
    });
}

/** The mount that is on top at a place of the text of a mountinfo file. */
export function mountAt(text: string, place: string): MountLine | undefined {
  return parseMounts(text).findLast((mount) => mount.place === place);
}

export function hasNamespace(type: string): boolean {
  return existsSync(`/proc/self/ns/${type}`);
}

/** Fields of /proc/self/limits of this process: name such as `Max open files` -> soft and hard, -1 for unlimited. */
export function readLimits(text = readFileSync('/proc/self/limits', 'utf8')): Map<string, readonly [number, number]> {
  const limits = new Map<string, readonly [number, number]>();
  for (const line of text.split('\n').slice(1)) {
    const found = /^(Max .*?)\s{2,}(\S+)\s+(\S+)/.exec(line);
    if (found !== null) limits.set(found[1] ?? '', [toLimit(found[2]), toLimit(found[3])]);
  }
  return limits;
}

function toLimit(text = ''): number {
  return text === 'unlimited' ? -1 : Number(text);
}

/**
 * Where the cgroup of a process is for a controller: its directory, and which version of cgroups it is.
 * Throws a `Skip` where no mounted hierarchy has the controller.
 */
export function cgroupOf(pid: number, controller: string): { readonly directory: string; readonly version: 1 | 2 } {
  const mounts = parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  for (const line of lines) {
    const [, names = '', ...rest] = line.split(':');
    const version = names === '' ? 2 : 1;
    const mount = mounts.find(({ type, superOptions, place }) =>
      version === 2
        ? type === 'cgroup2' && controllersOf(place).includes(controller)
        : type === 'cgroup' && names.split(',').includes(controller) && superOptions.includes(controller),
    );
    if (mount !== undefined)
      return { directory: path.join(mount.place, path.relative(mount.root, rest.join(':'))), version };
  }
  throw new Skip(`no mounted cgroup hierarchy has the controller ${controller}`);
}

function controllersOf(place: string): string[] {
  return readFileSync(path.join(place, 'cgroup.controllers'), 'utf8').trim().split(' ');
}

export function hasController(controller: string): boolean {
  try {
    cgroupOf(process.pid, controller);
    return true;
  } catch (error) {
    if (error instanceof Skip) return false;
    throw error;
  }
}

/** Whether the kernel is of that version or a later one. */
export function isKernelAtLeast(major: number, minor: number): boolean {
  const [a = 0, b = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

/** Directories with a word in their names in every mounted cgroup hierarchy. */
export function findCgroups(word: string): string[] {
  const places = parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter(({ type }) => type === 'cgroup' || type === 'cgroup2')
    .map(({ place }) => place);
  return [...new Set(places.flatMap((place) => findBelow(place, word, CGROUP_DEPTH)))];
}

/** No cgroup that a requirement asks for is nested deeper. */
const CGROUP_DEPTH = 6;

function findBelow(directory: string, word: string, depth: number): string[] {
  let names: string[];
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    // It has gone in the meantime.
    return [];
  }
  return names.flatMap((name) => {
    const child = path.join(directory, name);
    if (name.includes(word)) return [child];
    return depth > 0 ? findBelow(child, word, depth - 1) : [];
  });
}
