import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readBounded } from '../../../src/container/store/read-bounded.ts';
import { makeDirectory } from '../rig.ts';

const plain = { limitBytes: 100_000, plain: true, code: 'state' } as const;

t.test('readBounded() reads a file as a whole, up to its limit', (t) => {
  const file = path.join(makeDirectory(t), 'file');
  writeFileSync(file, 'x'.repeat(100_000));
  t.equal(readBounded(file, plain).length, 100_000);
  writeFileSync(file, '');
  t.equal(readBounded(file, plain).length, 0);
  writeFileSync(file, 'x'.repeat(100_001));
  t.throws(() => readBounded(file, plain), { code: 'state', message: /it is too long, wanted at most 100000$/ });
  t.end();
});

t.test('readBounded() neither waits for a pipe, nor follows a link, nor reads a device to its end', (t) => {
  const directory = makeDirectory(t);
  const pipe = path.join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  t.throws(() => readBounded(pipe, plain), { code: 'state', message: /it is no plain file$/ });
  const link = path.join(directory, 'link');
  symlinkSync('/etc/passwd', link);
  t.throws(() => readBounded(link, plain), { code: 'ELOOP' });
  t.throws(() => readBounded('/dev/zero', plain), { message: /it is no plain file$/ });
  const any = { ...plain, plain: false, code: 'bundle' } as const;
  t.throws(() => readBounded('/dev/zero', any), { code: 'bundle', message: /it is too long/ });
  t.equal(readBounded('/dev/null', any).length, 0);
  t.end();
});
