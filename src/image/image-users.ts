import { fstatSync, readSync } from 'node:fs';
import { descriptorPath, OwnedFd } from '../sys/fd.ts';
import { openFile, openInRoot } from '../sys/file.ts';
import { hasErrno } from '../sys/errno.ts';
import { O_RDONLY } from '../util/constants.ts';
import type { UserFiles } from './parse/user.ts';
import { refuse } from './refuse.ts';

const MAX_BYTES = 4 * 1024 * 1024;

/** The files of users of an image, of the uppermost of its trees that has one: found as its programs find it. Errors: `bundle`. */
export function readUserFiles(trees: readonly OwnedFd[]): UserFiles {
  return { passwd: readFirst(trees, '/etc/passwd'), group: readFirst(trees, '/etc/group') };
}

function readFirst(trees: readonly OwnedFd[], path: string): string | undefined {
  for (const tree of trees.toReversed()) {
    const found = readOne(tree, path);
    if (found !== 'missing') return found === 'hidden' ? undefined : found.text;
  }
  return undefined;
}

function readOne(tree: OwnedFd, path: string): { readonly text: string } | 'missing' | 'hidden' {
  try {
    using handle = openInRoot(tree, path);
    const stat = fstatSync(handle.number);
    // A layer of its own that hides the file of the one below.
    if (stat.isCharacterDevice() && stat.rdev === 0) return 'hidden';
    return stat.isFile() ? { text: readText(handle, path) } : 'missing';
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EACCES')) return 'missing';
    throw error;
  }
}

function readText(handle: OwnedFd, path: string): string {
  using file = openFile(descriptorPath(handle.number), O_RDONLY);
  const bytes = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  for (;;) {
    const count = readSync(file.number, bytes, length, bytes.length - length, length);
    length += count;
    if (length > MAX_BYTES) throw refuse(`its ${path} has more than ${MAX_BYTES} bytes`);
    if (count === 0) return bytes.toString('utf8', 0, length);
  }
}
