import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { bindLibc } from '../../../src/sys/library.ts';

const listxattr = bindLibc('long llistxattr(const char *path, void *list, size_t size)');
const getxattr = bindLibc('long lgetxattr(const char *path, const char *name, void *value, size_t size)');
const setxattr = bindLibc(
  'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);

/** Everything that can be told of a tree: names, types, modes, owners, times of change, attributes, content, links. */
export function digestTree(tree: string): string {
  const hash = createHash('sha256');
  const walk = (place: string): void => {
    const { mode, uid, gid, mtimeMs, nlink, rdev, size } = lstatSync(place);
    hash.update(JSON.stringify([path.relative(tree, place), mode, uid, gid, mtimeMs, nlink, rdev]));
    hash.update(attributes(place));
    if ((mode & 0o170000) === 0o040000) for (const name of readdirSync(place).sort()) walk(path.join(place, name));
    else if ((mode & 0o170000) === 0o120000) hash.update(readlinkSync(place));
    else hash.update(`${size}`).update(readFileSync(place));
  };
  walk(tree);
  return hash.digest('hex');
}

function attributes(place: string): string {
  const list = Buffer.alloc(65_536);
  const names = list
    .toString('utf8', 0, Math.max(0, listxattr(place, list, list.length)))
    .split('\0')
    .slice(0, -1);
  const values = names.sort().map((name) => {
    const value = Buffer.alloc(65_536);
    return `${name}=${value.toString('hex', 0, getxattr(place, name, value, value.length))}`;
  });
  return values.join();
}

/** Gives a file an attribute, such as `user.note`. */
export function setAttribute(place: string, name: string, value: string): void {
  setxattr(place, name, Buffer.from(value), value.length, 0);
}
