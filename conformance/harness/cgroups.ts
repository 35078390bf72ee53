import { readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';

export const CGROUP_ROOT = '/sys/fs/cgroup';

/** Removes the cgroups whose names fit and all below them, deepest first. One that still has processes stays. */
export function removeCgroups(fits: (name: string) => boolean, directory = CGROUP_ROOT, isInside = false): void {
  for (const name of directoriesIn(directory)) {
    const child = path.join(directory, name);
    const isOwn = isInside || fits(name);
    removeCgroups(fits, child, isOwn);
    if (!isOwn) continue;
    try {
      rmdirSync(child);
    } catch {
      // Gone in the meantime, or in use.
    }
  }
}

/** Names of the cgroups that are there and fit, at any depth. */
export function findCgroupNames(fits: (name: string) => boolean, directory = CGROUP_ROOT): Set<string> {
  const names = directoriesIn(directory);
  const below = names.flatMap((name) => [...findCgroupNames(fits, path.join(directory, name))]);
  return new Set([...names.filter(fits), ...below]);
}

function directoriesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}
