import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

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
