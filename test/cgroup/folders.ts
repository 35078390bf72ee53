import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';

/** A folder with control files that take what is written. */
export function makeFolder(path: string, files: Readonly<Record<string, string>> = {}): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(`${path}/${name}`, content);
  return path;
}

/** A mount point of its own for each directory of a test. */
export function makeMountPoint(t: Test): string {
  mkdirSync(t.testdirName, { recursive: true });
  return mkdtempSync(`${t.testdirName}/`);
}

/** The text of a file; writes into plain files overwrite from the start. */
export function text(path: string): string {
  return readFileSync(path, 'utf8');
}

/** As an ordinary user. */
export function withoutRights<T>(action: () => T): T {
  const NOBODY = 65534;
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    return action();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
