import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { rememberLimits } from '../../src/cgroup/remember.ts';
import type { CgroupWrite, ValueWrite } from '../../src/plan/cgroup/plan.ts';
import { makeFolder, text, withoutRights } from './folders.ts';

const value = (file: string, more: Partial<ValueWrite> = {}): ValueWrite => {
  return { kind: 'value', directory: 0, file, value: '9', label: `set ${file}`, ...more };
};

function folder(t: Test, files: Record<string, string>) {
  const mountPoint = t.testdir({});
  const hostPath = makeFolder(`${mountPoint}/c1`, files);
  return { hostPath, targets: [{ mountPoint, hostPath }] };
}

t.test('rememberLimits() puts back what was there, and only that', (t) => {
  const { hostPath, targets } = folder(t, { 'pids.max': '64\n', 'cpu.weight': '100\n', other: '1\n' });
  const inherit: CgroupWrite = { kind: 'inherit', directory: 0, file: 'other', label: 'x' };
  const writes = [value('pids.max'), value('cpu.old', { orElse: value('cpu.weight') }), inherit, value('gone')];
  const putBack = rememberLimits([...writes, value('pids.max', { directory: 1 })], targets);
  for (const name of ['pids.max', 'cpu.weight', 'other']) writeFileSync(`${hostPath}/${name}`, '9');
  t.strictSame(putBack(), []);
  t.strictSame([text(`${hostPath}/pids.max`), text(`${hostPath}/cpu.weight`)], ['64', '100']);
  t.equal(text(`${hostPath}/other`), '9', 'what is no value stays');
  t.end();
});

t.test('rememberLimits() goes back in the opposite order', (t) => {
  const { hostPath, targets } = folder(t, { 'pids.max': '64' });
  const putBack = rememberLimits([value('pids.max')], targets);
  writeFileSync(`${hostPath}/pids.max`, '32');
  const later = rememberLimits([value('pids.max')], targets);
  t.strictSame([...later(), ...putBack()], []);
  t.equal(text(`${hostPath}/pids.max`), '64');

  const both = folder(t, { 'cpu.weight': '1\n2\n' });
  const first = rememberLimits([value('cpu.weight')], both.targets);
  first();
  t.equal(text(`${both.hostPath}/cpu.weight`)[0], '1', 'the last line is put back first');
  t.end();
});

t.test('rememberLimits() puts an empty cpuset back as what it stood for', (t) => {
  const files = {
    'cpuset.cpus': '\n',
    'cpuset.cpus.effective': '0-1\n',
    'cpuset.mems': '',
    'cpuset.mems.effective': '0\n',
  };
  const { hostPath, targets } = folder(t, { ...files, 'cpuset.other': '', 'cpuset.other.effective': '7' });
  const names = ['cpuset.cpus', 'cpuset.mems', 'cpuset.other'];
  const putBack = rememberLimits(
    names.map((name) => value(name)),
    targets,
  );
  t.strictSame(putBack(), []);
  t.strictSame(
    names.map((name) => text(`${hostPath}/${name}`).trim()),
    ['0-1', '0', ''],
  );
  const alone = folder(t, { 'cpuset.cpus': '' });
  const restore = rememberLimits([value('cpuset.cpus')], alone.targets);
  writeFileSync(`${alone.hostPath}/cpuset.cpus`, '');
  t.strictSame(restore(), []);
  t.equal(text(`${alone.hostPath}/cpuset.cpus`), '\n');
  t.end();
});

t.test('rememberLimits() tells what could not be put back, but not of what is as it was or gone', (t) => {
  const { hostPath, targets } = folder(t, { 'pids.max': '64', 'cpu.weight': '100', gone: '1', same: '5' });
  chmodSync(t.testdirName, 0o755);
  const names = ['pids.max', 'cpu.weight', 'gone', 'same'];
  const putBack = rememberLimits(
    names.map((name) => value(name)),
    targets,
  );
  for (const name of ['pids.max', 'cpu.weight']) writeFileSync(`${hostPath}/${name}`, '9');
  rmSync(`${hostPath}/gone`);
  chmodSync(`${hostPath}/cpu.weight`, 0o666);
  const failures = withoutRights(putBack);
  t.match(failures, [
    { code: 'cgroup', errno: 'EACCES', message: /^write "64" to ".*\/pids\.max": permission denied: EACCES$/ },
  ]);
  t.equal(failures.length, 1);
  t.equal(text(`${hostPath}/cpu.weight`), '100', 'the others are put back');
  t.end();
});
