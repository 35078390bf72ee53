import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Mount } from '../../../src/spec/generated/config.ts';
import type { BaseConfig, Rig } from './rig.ts';

/** A shell line that prints options and optional fields of a mount: `OPTIONS|FIELDS|TYPE|SUPER`. */
export function mountinfo(...places: readonly string[]): string {
  const conditions = places.map((place) => `$5 == "${place}"`).join(' || ');
  return `awk '${conditions} { fields = ""; for (i = 7; $i != "-"; i++) fields = fields $i; print $6 "|" fields "|" $(i+1) "|" $(i+3) }' /proc/self/mountinfo`;
}

/** A change of the config that adds mounts. */
export function add(...mounts: readonly Mount[]): (config: BaseConfig) => void {
  return (config) => config.mounts.push(...mounts);
}

/** A bind mount. */
export function bind(source: string, destination: string, ...options: readonly string[]): Mount {
  return { destination, type: 'bind', source, options: ['bind', ...options] };
}

/** A directory with a file, a subdirectory and a file in that. */
export function makeTree(rig: Rig): string {
  const directory = rig.fresh('tree');
  mkdirSync(path.join(directory, 'sub'), { recursive: true });
  writeFileSync(path.join(directory, 'file'), 'content');
  writeFileSync(path.join(directory, 'sub/inner'), 'inner');
  return directory;
}

/** Runs tsrun in a mount namespace of its own, after a shell command. */
export function after(command: string): { under: string[] } {
  return { under: ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${command}; exec "$@"`, 'sh'] };
}
