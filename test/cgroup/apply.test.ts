import t, { type Test } from 'tap';
import { applyWrites } from '../../src/cgroup/apply.ts';
import type { CgroupWrite, ValueWrite } from '../../src/plan/cgroup/plan.ts';
import { makeFolder, text } from './folders.ts';

const value = (file: string, content: string, more: Partial<ValueWrite> = {}): CgroupWrite => {
  return { kind: 'value', directory: 0, file, value: content, label: `set ${file}`, pointer: `/x/${file}`, ...more };
};

const folder = (t: Test, files: Record<string, string>): [string, { mountPoint: string; hostPath: string }[]] => {
  const root = t.testdir({});
  return [makeFolder(`${root}/a/c1`, files), [{ mountPoint: root, hostPath: `${root}/a/c1` }]];
};

t.test('applyWrites() writes values, never makes a file', (t) => {
  const [path, targets] = folder(t, { one: '' });
  applyWrites([value('one', '5')], targets);
  t.equal(text(`${path}/one`), '5');
  t.throws(
    () => {
      applyWrites([value('two', '5')], targets);
    },
    {
      code: 'cgroup',
      errno: 'ENOENT',
      message: `set two: write "5" to "${path}/two": no such file or directory: ENOENT`,
      issues: [{ pointer: '/x/two' }],
    },
  );
  t.end();
});

t.test('applyWrites() has no place for a write of a directory that is not there', (t) => {
  const [path, targets] = folder(t, { one: '' });
  t.throws(
    () => {
      applyWrites([value('one', '5', { directory: 1 })], targets);
    },
    { message: 'bug: "set one" has no directory' },
  );
  t.equal(text(`${path}/one`), '');
  t.end();
});

t.test('applyWrites() passes over accepted errnos and takes the other name of a setting', (t) => {
  const [path, targets] = folder(t, { new: '' });
  applyWrites([value('gone', 'max', { accept: ['ENOENT'] })], targets);
  const orElse: ValueWrite = { kind: 'value', directory: 0, file: 'new', value: '9', label: 'set new' };
  applyWrites([value('old', '5', { orElse })], targets);
  t.equal(text(`${path}/new`), '9');
  t.end();
});

t.test('applyWrites() makes a refused write once more behind the others, and only once', (t) => {
  const [, targets] = folder(t, { other: '' });
  const late = value('late', '1', { again: ['ENOENT'] });
  t.throws(
    () => {
      applyWrites([late, value('other', '2')], targets);
    },
    { code: 'cgroup', errno: 'ENOENT' },
  );
  t.equal(text(`${targets[0]?.hostPath}/other`), '2', 'the write behind it was made first');
  t.end();
});

t.test('applyWrites() writes line by line', (t) => {
  const [path, targets] = folder(t, { lines: '' });
  applyWrites([value('lines', 'first line\nsecond\n')], targets);
  t.equal(text(`${path}/lines`), 'secondline', 'each from the start of the file');
  t.end();
});

t.test('applyWrites() hands down what is empty and leaves what is not', (t) => {
  const [path, targets] = folder(t, { cpus: '', mems: '1\n' });
  makeFolder(path.replace(/\/c1$/, ''), { cpus: '0-1\n', mems: '0\n' });
  const inherit = (file: string): CgroupWrite => ({ kind: 'inherit', directory: 0, file, label: file });
  applyWrites([inherit('cpus'), inherit('mems')], targets);
  t.equal(text(`${path}/cpus`), '0-1');
  t.equal(text(`${path}/mems`), '1\n');
  t.end();
});

t.test('applyWrites() refuses a limit that is used up', (t) => {
  const [, targets] = folder(t, { usage: '4096\n' });
  const check = (limit: string): CgroupWrite => ({
    kind: 'check',
    directory: 0,
    file: 'usage',
    limit,
    label: 'compare',
    pointer: '/p',
  });
  t.doesNotThrow(() => {
    applyWrites([check('4097')], targets);
  });
  t.throws(
    () => {
      applyWrites([check('4096')], targets);
    },
    {
      code: 'cgroup',
      message: 'compare: the usage is 4096, wanted less than 4096',
      issues: [{ pointer: '/p' }],
    },
  );
  t.end();
});

t.test('applyWrites() enables what the ancestor has, and misses only what is required', (t) => {
  const [, targets] = folder(t, {});
  const root = targets[0]?.mountPoint ?? '';
  makeFolder(root, { 'cgroup.controllers': 'cpu memory\n', 'cgroup.subtree_control': 'cpu\n' });
  const enable = (required: Record<string, string>): CgroupWrite => {
    return {
      kind: 'enable',
      directory: 0,
      ancestor: '/',
      controllers: ['cpu', 'memory', 'pids'],
      required,
      label: 'pass on',
    };
  };
  applyWrites([enable({})], targets);
  t.equal(text(`${root}/cgroup.subtree_control`), '+memory', 'cpu was there already, pids is not to be had');
  t.throws(
    () => {
      applyWrites([enable({ pids: '/linux/resources/pids/limit' })], targets);
    },
    {
      code: 'cgroup',
      issues: [{ pointer: '/linux/resources/pids/limit' }],
    },
  );
  t.end();
});
