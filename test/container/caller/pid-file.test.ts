import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { writePidFile } from '../../../src/container/caller/pid-file.ts';
import { makeDirectory } from '../rig.ts';

const CALLER = { umask: 0o022 };

t.test('writePidFile() writes the number without a newline, and takes the place of an older file', (t) => {
  const directory = makeDirectory(t);
  const file = path.join(directory, 'pid');
  writePidFile(file, 123456, CALLER);
  t.equal(readFileSync(file, 'utf8'), '123456');
  const { ino } = statSync(file);
  writePidFile(file, 7, CALLER);
  t.equal(readFileSync(file, 'utf8'), '7');
  t.not(statSync(file).ino, ino);
  t.same(readdirSync(directory), ['pid']);
  t.end();
});

t.test('writePidFile() leaves no temporary file when it fails', (t) => {
  const directory = makeDirectory(t);
  mkdirSync(path.join(directory, 'pid'));
  t.throws(
    () => {
      writePidFile(path.join(directory, 'pid'), 1, CALLER);
    },
    {
      code: 'host',
      errno: 'EISDIR',
      message: `write pid file ${JSON.stringify(path.join(directory, 'pid'))}: is a directory: EISDIR`,
    },
  );
  t.same(readdirSync(directory), ['pid']);
  t.throws(
    () => {
      writePidFile(path.join(directory, 'missing/pid'), 1, CALLER);
    },
    { code: 'host', errno: 'ENOENT' },
  );
  t.end();
});

t.test('writePidFile() is not kept from it by what another has left, and leaves that alone', (t) => {
  const directory = makeDirectory(t);
  writeFileSync(path.join(directory, '.pid'), 'theirs');
  writePidFile(path.join(directory, 'pid'), 1, CALLER);
  t.equal(readFileSync(path.join(directory, '.pid'), 'utf8'), 'theirs');
  t.same(readdirSync(directory), ['.pid', 'pid']);
  writePidFile(path.join(directory, 'x'.repeat(255)), 1, CALLER);
  t.end();
});
