import { readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { CgroupReferenceDirectory } from '../../src/cgroup/cgroup.ts';
import { readOomKills, watchOom } from '../../src/cgroup/oom.ts';
import { POLLPRI } from '../../src/sys/events/poll.ts';
import { POLLIN } from '../../src/util/constants.ts';
import { makeFolder, makeMountPoint } from './folders.ts';

type Files = Readonly<Record<string, string>>;

function directory(t: Test, kind: 'v1' | 'v2', controllers: readonly string[], files: Files): CgroupReferenceDirectory {
  const mountPoint = makeMountPoint(t);
  const hostPath = makeFolder(`${mountPoint}/scope/c1`, files);
  return { kind, controllers, mountPoint, hostPath, made: [] };
}

const open = (): number => readdirSync('/proc/self/fd').length;

t.test('watchOom() watches nothing where no cgroup counts memory', (t) => {
  t.testdir({});
  for (const directories of [[], [directory(t, 'v1', ['pids'], {}), directory(t, 'v2', ['pids'], {})]]) {
    using watch = watchOom({ directories });
    t.equal(watch.entry, undefined);
    t.equal(watch.take(), false);
    t.equal(readOomKills({ manager: 'cgroupfs', directories }), 0);
  }
  t.end();
});

t.test('watchOom() compares the kills of a cgroup2 with those of before', (t) => {
  t.testdir({});
  const memory = directory(t, 'v2', ['cpu', 'memory'], { 'memory.events': 'below_oom_kill 8\noom_kill 2\n' });
  const events = `${memory.hostPath}/memory.events`;
  const before = open();
  {
    using watch = watchOom({ directories: [directory(t, 'v1', ['pids'], {}), memory] });
    t.equal(watch.entry?.events, POLLPRI);
    t.equal(watch.take(), false, 'those of before are not its own');
    writeFileSync(events, 'below_oom_kill 9\noom_kill 2\noom_group_kill 1\n');
    t.equal(watch.take(), false, 'nobody was killed');
    writeFileSync(events, 'oom 10\noom_kill 3\noom_group_kill 8\n');
    t.equal(watch.take(), true);
    t.equal(watch.take(), false, 'once');
    writeFileSync(events, '\n');
    t.equal(watch.take(), false, 'nobody counts');
    writeFileSync(events, 'low 0\noom_kill 12345678901234567890\n');
    t.equal(watch.take(), true);
  }
  t.equal(open(), before);
  t.end();
});

t.test('watchOom() has v1 raise a counter, which the end of the cgroup raises as well', (t) => {
  t.testdir({});
  const files = { 'memory.oom_control': 'oom_kill_disable 0\n', 'cgroup.event_control': '' };
  const memory = directory(t, 'v1', ['memory'], files);
  const control = `${memory.hostPath}/cgroup.event_control`;
  const before = open();
  {
    using watch = watchOom({ directories: [directory(t, 'v2', ['memory'], {}), memory] });
    const fd = watch.entry?.fd ?? -1;
    t.equal(watch.entry?.events, POLLIN);
    t.match(readFileSync(control, 'utf8'), new RegExp(`^${fd} \\d+$`));
    t.equal(watch.take(), false);
    const raise = () => writeSync(fd, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
    raise();
    t.equal(watch.take(), true);
    t.equal(watch.take(), false, 'once');
    raise();
    rmSync(control);
    t.equal(watch.take(), false);
  }
  t.equal(open(), before);
  t.throws(() => watchOom({ directories: [memory] }), {
    code: 'cgroup',
    errno: 'ENOENT',
    message: /^watch ".*" for want/,
  });
  t.equal(open(), before);
  t.end();
});

t.test('watchOom() does not take a file that cannot be read for one without kills', (t) => {
  t.testdir({});
  const memory = directory(t, 'v2', ['memory'], {});
  makeFolder(`${memory.hostPath}/memory.events`);
  t.throws(() => watchOom({ directories: [memory] }), { code: 'EISDIR' });
  t.end();
});

t.test('readOomKills() asks the cgroup above where systemd removes the own one', (t) => {
  t.testdir({});
  const memory = directory(t, 'v2', ['memory'], { 'memory.events': 'oom 4\noom_kill 3\n' });
  writeFileSync(`${memory.hostPath}/../memory.events`, 'oom_kill 5\n');
  t.equal(readOomKills({ manager: 'cgroupfs', directories: [memory] }), 3);
  t.equal(readOomKills({ manager: 'systemd', directories: [memory] }), 5);
  const old = directory(t, 'v1', ['memory'], { 'memory.oom_control': 'under_oom 0\noom_kill 7\n' });
  t.equal(readOomKills({ manager: 'systemd', directories: [memory, old] }), 7, 'v1 counts where it counts memory');
  t.equal(readOomKills({ manager: 'cgroupfs', directories: [directory(t, 'v2', ['memory'], {})] }), 0);
  t.end();
});
