import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { writeToAny } from '../../../src/shim/bootstrap/shim-log.ts';

t.test('writeToAny() writes to the first bundle that takes it, and to no other', (t) => {
  const top = t.testdir({});
  const bundles = ['gone', 'closed', 'file', 'first', 'second'].map((name) => path.join(top, name));
  const [, closed = '', file = '', ...open] = bundles;
  for (const bundle of [closed, file, ...open]) mkdirSync(bundle);
  writeFileSync(path.join(file, 'log'), '');
  for (const bundle of [closed, ...open]) execFileSync('mkfifo', [path.join(bundle, 'log')]);
  const read = open.map((bundle) => openSync(path.join(bundle, 'log'), constants.O_RDONLY | constants.O_NONBLOCK));
  writeToAny(bundles, 'a line\n');
  const seen = read.map((fd) => {
    const bytes = Buffer.alloc(100);
    // EAGAIN where a writer is there still; none is.
    return bytes.toString('utf8', 0, readSync(fd, bytes));
  });
  t.strictSame(seen, ['a line\n', '']);
  read.forEach(closeSync);
  t.end();
});
