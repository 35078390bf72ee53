import { lstatSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import type { HostDevice } from '../plan/base/facts.ts';

/** A device to look for: `c MAJOR:MINOR` or `b MAJOR:MINOR`, and where it may well be. */
interface WantedDevice {
  readonly key: string;
  readonly path: string;
}

/** Most machines have some hundred nodes; what is behind these bounds is not found. */
const MAX_NODES = 10_000;
const MAX_DEPTH = 5;

/**
 * Nodes of the host by type and numbers: at the path that is given, by the links that udev makes, or anywhere below /dev, but for
 * other file systems that are mounted there. Shape: key -> node; what is not found is left out.
 */
export function findDevices(wanted: readonly WantedDevice[], dev = '/dev'): Record<string, HostDevice> {
  const found: Record<string, HostDevice> = {};
  let everything: ReadonlyMap<string, HostDevice> | undefined;
  for (const { key, path: usual } of wanted) {
    const link = `${dev}/${key.startsWith('b') ? 'block' : 'char'}/${key.slice(2)}`;
    const device = nodeAt(usual, key) ?? nodeAt(link, key) ?? (everything ??= readNodes(dev)).get(key);
    if (device !== undefined) found[key] = device;
  }
  return found;
}

function nodeAt(place: string, key: string): HostDevice | undefined {
  try {
    const stat = statSync(place);
    return keyOf(stat) === key ? { path: realpathSync(place), mode: stat.mode & 0o7777 } : undefined;
  } catch {
    // Not there, or not to be looked at: it may be elsewhere.
    return undefined;
  }
}

function readNodes(dev: string): ReadonlyMap<string, HostDevice> {
  const nodes = new Map<string, HostDevice>();
  const directories = [{ directory: dev, depth: 0 }];
  const filesystem = look(dev)?.dev;
  let count = 0;
  // A list that grows while it is walked.
  for (const { directory, depth } of directories) {
    for (const name of readNames(directory)) {
      if (++count > MAX_NODES) return nodes;
      const place = path.join(directory, name);
      const stat = look(place);
      if (stat === undefined || stat.dev !== filesystem) continue;
      const key = keyOf(stat);
      if (stat.isDirectory() && depth < MAX_DEPTH) directories.push({ directory: place, depth: depth + 1 });
      if (key !== undefined && !nodes.has(key)) nodes.set(key, { path: place, mode: stat.mode & 0o7777 });
    }
  }
  return nodes;
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function look(place: string): Stats | undefined {
  try {
    return lstatSync(place);
  } catch {
    return undefined;
  }
}

/** gnu_dev_major() and gnu_dev_minor(), for numbers of up to 32 bits, which is all that the kernel has. */
function keyOf(stat: Stats): string | undefined {
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  const major = (stat.rdev >>> 8) & 0xfff;
  const minor = (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00);
  return `${stat.isBlockDevice() ? 'b' : 'c'} ${major}:${minor}`;
}
