import {
  chmodSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { createUnlinkedExecutable, openFile, tryLock, writeKernelFile } from '../../src/sys/file.ts';
import { createSealedExecutable } from '../../src/sys/memfd.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../src/sys/open-flags.ts';
import { O_CREAT, O_PATH, O_RDONLY, O_RDWR } from '../../src/util/constants.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-test-'));
t.teardown(() => {
  rmSync(directory, { recursive: true, force: true });
});

t.test('openFile() opens close-on-exec, and names the path when it fails', (t) => {
  const file = path.join(directory, 'with "quotes"');
  using fd = openFile(file, O_RDWR | O_CREAT, 0o600);
  t.match(readFileSync(`/proc/self/fdinfo/${fd.number}`, 'utf8'), /^flags:\s*0?[0-7]*2[0-7]{6}$/m);
  t.throws(() => openFile(`${file}/x`, O_RDONLY), {
    code: 'host',
    errno: 'ENOTDIR',
    message: `open ${JSON.stringify(`${file}/x`)}: not a directory: ENOTDIR`,
  });
  t.end();
});

t.test('openFile() takes no symlink and no file for what they are not, on every architecture', (t) => {
  const file = path.join(directory, 'plain');
  const link = path.join(directory, 'link');
  writeFileSync(file, '');
  symlinkSync(file, link);
  t.throws(() => openFile(link, O_RDONLY | O_NOFOLLOW), { code: 'host', errno: 'ELOOP' });
  t.throws(() => openFile(file, O_RDONLY | O_DIRECTORY), { code: 'host', errno: 'ENOTDIR' });
  t.throws(() => openFile(file, O_PATH | O_DIRECTORY), { code: 'host', errno: 'ENOTDIR' });
  using handle = openFile(link, O_PATH | O_NOFOLLOW);
  t.equal(fstatSync(handle.number).isSymbolicLink(), true, 'a handle is of the link itself');
  t.end();
});

t.test('writeKernelFile() makes no file', (t) => {
  const file = path.join(directory, 'kernel');
  t.throws(
    () => {
      writeKernelFile(file, 'x');
    },
    { code: 'host', errno: 'ENOENT' },
  );
  writeFileSync(file, '');
  writeKernelFile(file, 'text\n');
  t.equal(readFileSync(file, 'utf8'), 'text\n');
  t.end();
});

t.test('tryLock() takes a lock that nobody else has', (t) => {
  const file = path.join(directory, 'lock');
  using first = openFile(file, O_RDWR | O_CREAT, 0o600);
  {
    using second = openFile(file, O_RDWR);
    t.equal(tryLock(second.number), true);
    t.equal(tryLock(second.number), true, 'it has it already');
    t.equal(tryLock(first.number), false);
  }
  t.equal(tryLock(first.number), true, 'closing lets go');
  t.throws(() => tryLock(9999), { code: 'host', errno: 'EBADF' });
  t.end();
});

t.test('createUnlinkedExecutable() and createSealedExecutable() have the bytes and no way to change them', (t) => {
  const bytes = Buffer.from('#!/bin/true\n');
  using unlinked = createUnlinkedExecutable(directory, 'image', bytes);
  using sealed = createSealedExecutable('image', bytes);
  t.notOk(readdirSync(directory).some((name) => name.includes('image')));
  for (const { number } of [unlinked, sealed]) t.ok(readFileSync(`/proc/self/fd/${number}`).equals(bytes));
  t.throws(
    () => {
      writeFileSync(`/proc/self/fd/${sealed.number}`, 'x');
    },
    { code: 'EPERM' },
  );
  t.throws(
    () => {
      writeFileSync(unlinked.number, 'x');
    },
    { code: 'EBADF' },
  );
  chmodSync(directory, 0o700);
  t.end();
});
