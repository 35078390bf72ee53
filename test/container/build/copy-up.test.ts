import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import t, { type Test } from 'tap';
import { copyUp } from '../../../src/container/build/copy-up.ts';
import { checked } from '../../../src/sys/errno.ts';
import { openFile } from '../../../src/sys/file.ts';
import { bindLibc } from '../../../src/sys/library.ts';
import { O_DIRECTORY } from '../../../src/sys/open-flags.ts';
import { O_RDONLY } from '../../../src/util/constants.ts';
import { makeDirectory } from '../rig.ts';

const isRoot = process.geteuid?.() === 0;

/** Two directories, and their copy. */
function makePair(t: Test) {
  const base = makeDirectory(t);
  const [from, to] = [path.join(base, 'from'), path.join(base, 'to')];
  mkdirSync(from);
  mkdirSync(to);
  const copy = async () => {
    using lower = openFile(from, O_RDONLY | O_DIRECTORY);
    using upper = openFile(to, O_RDONLY | O_DIRECTORY);
    await copyUp(lower.number, upper.number);
  };
  return { base, from, to, copy };
}

const setxattr = bindLibc(
  'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);
const getxattr = bindLibc('long getxattr(const char *path, const char *name, void *value, size_t size)');

/** In hexadecimal. */
function setAttribute(file: string, name: string, value: string): void {
  const bytes = Buffer.from(value, 'hex');
  checked(setxattr(file, name, bytes, bytes.length, 0), name);
}

function getAttribute(file: string, name: string): string {
  const bytes = Buffer.alloc(100);
  return bytes.toString('hex', 0, checked(getxattr(file, name, bytes, bytes.length), name));
}

const modeOf = (file: string) => (lstatSync(file).mode & 0o7777).toString(8);

t.test('copyUp() copies files, directories and modes', async (t) => {
  const { from, to, copy } = makePair(t);
  mkdirSync(path.join(from, 'a/b/c'), { recursive: true });
  writeFileSync(path.join(from, 'a/b/file'), 'text');
  writeFileSync(path.join(from, 'empty'), '');
  chmodSync(path.join(from, 'a/b/file'), 0o4751);
  chmodSync(path.join(from, 'a/b'), 0o1777);
  chmodSync(path.join(from, 'a/b/c'), 0o500);
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  await copy();
  t.equal(readFileSync(path.join(to, 'a/b/file'), 'utf8'), 'text');
  t.same(
    ['a/b/file', 'a/b', 'a/b/c', 'empty'].map((name) => modeOf(path.join(to, name))),
    ['4751', '1777', '500', '644'],
  );
});

t.test('copyUp() copies symlinks as they are and follows none', async (t) => {
  const { base, from, to, copy } = makePair(t);
  writeFileSync(path.join(base, 'secret'), 'secret');
  mkdirSync(path.join(base, 'outside'));
  writeFileSync(path.join(base, 'outside/x'), 'secret');
  symlinkSync('../secret', path.join(from, 'file'));
  symlinkSync(path.join(base, 'outside'), path.join(from, 'directory'));
  symlinkSync('nowhere', path.join(from, 'dangling'));
  symlinkSync('self', path.join(from, 'self'));
  await copy();
  t.same(
    ['file', 'directory', 'dangling', 'self'].map((name) => readlinkSync(path.join(to, name))),
    ['../secret', path.join(base, 'outside'), 'nowhere', 'self'],
  );
  t.same(readdirSync(path.join(base, 'outside')), ['x']);
});

t.test('copyUp() copies owners', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { from, to, copy } = makePair(t);
  mkdirSync(path.join(from, 'directory'));
  writeFileSync(path.join(from, 'file'), '');
  symlinkSync('file', path.join(from, 'link'));
  chownSync(path.join(from, 'directory'), 1, 2);
  chownSync(path.join(from, 'file'), 3, 4);
  // A set-uid bit does not survive a change of owner unless it is set again.
  chmodSync(path.join(from, 'file'), 0o4755);
  lchownSync(path.join(from, 'link'), 5, 6);
  await copy();
  const ownerOf = (name: string) => {
    const { uid, gid } = lstatSync(path.join(to, name));
    return [uid, gid];
  };
  t.same(
    [ownerOf('directory'), ownerOf('file'), ownerOf('link')],
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  );
  t.equal(modeOf(path.join(to, 'file')), '4755');
});

t.test('copyUp() copies FIFOs and sockets, and does not wait for them', async (t) => {
  const { from, to, copy } = makePair(t);
  execFileSync('mkfifo', ['-m', '620', path.join(from, 'fifo')]);
  const server = createServer().listen(path.join(from, 'socket'));
  await once(server, 'listening');
  t.teardown(() => server.close());
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  await copy();
  t.ok(lstatSync(path.join(to, 'fifo')).isFIFO());
  t.ok(lstatSync(path.join(to, 'socket')).isSocket());
  t.same(
    ['fifo', 'socket'].map((name) => modeOf(path.join(to, name))),
    ['620', modeOf(path.join(from, 'socket'))],
  );
});

t.test('copyUp() copies devices and opens none', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { from, to, copy } = makePair(t);
  // No driver has this number: to open it would fail.
  execFileSync('mknod', ['-m', '640', path.join(from, 'character'), 'c', '240', '300']);
  execFileSync('mknod', [path.join(from, 'block'), 'b', '240', '70000']);
  chownSync(path.join(from, 'character'), 1, 2);
  await copy();
  const look = (directory: string, name: string) => {
    const { rdev, mode, uid, gid } = lstatSync(path.join(directory, name));
    return { rdev, mode, uid, gid };
  };
  for (const name of ['character', 'block']) t.same(look(to, name), look(from, name), name);
});

t.test('copyUp() copies extended attributes', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { from, to, copy } = makePair(t);
  writeFileSync(path.join(from, 'file'), '');
  mkdirSync(path.join(from, 'directory'));
  chownSync(path.join(from, 'file'), 1, 2);
  // cap_net_raw=ep, which a later change of owner would take away.
  const CAPABILITIES = '0100000200200000000000000000000000000000';
  setAttribute(path.join(from, 'file'), 'security.capability', CAPABILITIES);
  setAttribute(path.join(from, 'directory'), 'trusted.own', '6f776e');
  await copy();
  t.equal(getAttribute(path.join(to, 'file'), 'security.capability'), CAPABILITIES);
  t.equal(getAttribute(path.join(to, 'directory'), 'trusted.own'), '6f776e');
});

t.test('copyUp() refuses what has no end', async (t) => {
  const { from, copy } = makePair(t);
  mkdirSync(path.join(from, 'd/'.repeat(200)), { recursive: true });
  await t.rejects(copy(), { code: 'unsupported', message: 'copy up: more than 128 levels of directories' });
});

t.test('copyUp() overwrites nothing through what is there already', async (t) => {
  const { base, from, to, copy } = makePair(t);
  writeFileSync(path.join(base, 'victim'), 'mine');
  writeFileSync(path.join(from, 'file'), 'theirs');
  symlinkSync('../victim', path.join(to, 'file'));
  await t.rejects(copy(), { errno: 'EEXIST', message: 'copy up "file": file exists: EEXIST' });
  t.equal(readFileSync(path.join(base, 'victim'), 'utf8'), 'mine');
});

t.test('copyUp() copies names that are no UTF-8', async (t) => {
  const { from, to, copy } = makePair(t);
  const name = Buffer.from([0x66, 0xff, 0xfe]);
  writeFileSync(Buffer.concat([Buffer.from(`${from}/`), name]), 'text');
  await copy();
  t.same(readdirSync(to, { encoding: 'buffer' }), [name]);
});

t.test('copyUp() keeps the target of a symlink that is no UTF-8', async (t) => {
  const { from, to, copy } = makePair(t);
  const target = Buffer.from([0x66, 0xff]);
  symlinkSync(target, path.join(from, 'link'));
  await copy();
  t.same(readlinkSync(path.join(to, 'link'), { encoding: 'buffer' }), target);
});
