import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { findFreezer, freezeDirectory, isDirectoryFrozen, thawDirectory } from '../../src/cgroup/freezer.ts';
import type { CgroupReferenceDirectory } from '../../src/cgroup/cgroup.ts';
import { makeFolder, makeMountPoint, text } from './folders.ts';

function directory(
  t: Test,
  kind: 'v1' | 'v2',
  files: Readonly<Record<string, string>>,
  controllers: readonly string[] = ['freezer'],
): CgroupReferenceDirectory {
  const mountPoint = makeMountPoint(t);
  return { kind, controllers, mountPoint, hostPath: makeFolder(`${mountPoint}/c1`, files), made: [] };
}

t.test('isDirectoryFrozen() knows both kinds, and what is about to be frozen', (t) => {
  t.testdir({});
  const v1 = (state: string, controllers?: string[]) =>
    directory(t, 'v1', { 'freezer.state': `${state}\n` }, controllers);
  const v2 = (freeze: string, events: string) =>
    directory(t, 'v2', { 'cgroup.freeze': `${freeze}\n`, 'cgroup.events': `populated 1\n${events}\n` }, []);
  const frozen = [
    v1('FROZEN'),
    v1('FREEZING'),
    v1('FROZEN', ['pids', 'freezer']),
    v2('1', 'frozen 0'),
    v2('0', 'frozen 1'),
  ];
  const free = [
    v1('THAWED'),
    v1('FROZEN', ['pids']),
    v2('0', 'frozen 0'),
    v2('0', 'frozen 10'),
    v2('10', 'unfrozen 1'),
  ];
  const other = directory(t, 'v1', { 'cgroup.freeze': '1\n', 'cgroup.events': 'frozen 1\n' }, ['pids']);
  for (const one of frozen) t.ok(isDirectoryFrozen(one));
  for (const one of [...free, other, directory(t, 'v1', {}), directory(t, 'v2', {})]) t.notOk(isDirectoryFrozen(one));
  t.end();
});

t.test('findFreezer() prefers cgroup2, and passes over what was never made', (t) => {
  t.testdir({});
  const v1 = directory(t, 'v1', { 'freezer.state': 'THAWED\n' });
  const v2 = directory(t, 'v2', { 'cgroup.freeze': '0\n' }, []);
  const none = [directory(t, 'v1', {}), directory(t, 'v2', {}), directory(t, 'v1', { 'freezer.state': '' }, ['pids'])];
  t.equal(findFreezer([...none, v1, v2]), v2);
  t.equal(findFreezer([...none, v1]), v1);
  t.equal(findFreezer(none), undefined);
  t.equal(findFreezer([directory(t, 'v1', { 'cgroup.freeze': '0' }, ['pids'])]), undefined);
  t.end();
});

t.test('thawDirectory() says "thawed" in the words of each kind, also where nothing is left', (t) => {
  t.testdir({});
  const v1 = directory(t, 'v1', { 'freezer.state': '' });
  const v2 = directory(t, 'v2', { 'cgroup.freeze': '' });
  for (const one of [v1, v2, directory(t, 'v1', {}), directory(t, 'v2', {})]) thawDirectory(one);
  t.strictSame([text(`${v1.hostPath}/freezer.state`), text(`${v2.hostPath}/cgroup.freeze`)], ['THAWED', '0']);
  const wrong = directory(t, 'v2', {});
  makeFolder(`${wrong.hostPath}/cgroup.freeze`);
  t.throws(
    () => {
      thawDirectory(wrong);
    },
    { code: 'cgroup', errno: 'EISDIR', message: /^thaw cgroup ".*c1"/ },
  );
  t.end();
});

t.test('freezeDirectory() lets a v1 cgroup go for a moment when it does not freeze', async (t) => {
  t.testdir({});
  const stuck = directory(t, 'v1', { 'freezer.state': 'FREEZING AND NOT FROZEN' });
  const file = `${stuck.hostPath}/freezer.state`;
  const progress = { isFrozen: false };
  const freezing = freezeDirectory(stuck).then(() => (progress.isFrozen = true));
  const seen = new Set([text(file).slice(0, 6)]);
  while (!seen.has('THAWED') && !progress.isFrozen) {
    await setTimeout(1);
    seen.add(text(file).slice(0, 6));
  }
  t.strictSame([...seen], ['FROZEN', 'THAWED'], 'it is tried again and again before');
  t.notOk(progress.isFrozen, 'not while the kernel does not say so');
  writeFileSync(file, '');
  await freezing;
  t.equal(text(file), 'FROZEN');
});

t.test('freezeDirectory() says which cgroup cannot be frozen', async (t) => {
  t.testdir({});
  for (const kind of ['v1', 'v2'] as const)
    await t.rejects(freezeDirectory(directory(t, kind, {})), {
      code: 'cgroup',
      errno: 'ENOENT',
      message: /^freeze cgroup ".*\/c1"/,
    });
});
