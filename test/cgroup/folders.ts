import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { FileSystemProbe } from '../../src/cgroup/directory.ts';

/** Plain folders pass for cgroup file systems of both kinds in turn: only the order and the values of writes are tested on them. */
export const probeOf = (kind: 'v1' | 'v2'): FileSystemProbe => ({
  type: () => (kind === 'v1' ? 0x27e0eb : 0x63677270),
});

/** A folder with control files that take what is written. */
export function makeFolder(path: string, files: Readonly<Record<string, string>> = {}): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(`${path}/${name}`, content);
  return path;
}

/** The text of a file; writes into plain files overwrite from the start. */
export function text(path: string): string {
  return readFileSync(path, 'utf8');
}
