import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { Attempt } from '../../../src/container/build/attempt.ts';
import { StateDirectory } from '../../../src/container/store/directory.ts';
import { keepRuntime, makeDirectory, makeRecord } from '../rig.ts';

async function begin(t: Test, poststop: () => Promise<void> = () => Promise.resolve()) {
  const root = makeDirectory(t);
  const runtime = keepRuntime({ root });
  const attempt = await Attempt.begin(new StateDirectory(root, 'c1'), { log: runtime.log, poststop });
  t.teardown(() => {
    attempt.directory.close();
  });
  return { attempt, root, runtime, file: path.join(root, 'c1/state.json') };
}

t.test('Attempt takes the id and the lock, and lets go of the lock when it is finished', async (t) => {
  const { attempt, root } = await begin(t);
  using same = new StateDirectory(root, 'c1');
  t.equal(await same.tryLock(1), undefined);
  await t.rejects(Attempt.begin(same, { log: keepRuntime().log, poststop: () => Promise.resolve() }), {
    code: 'exists',
  });
  attempt.finish();
  (await same.tryLock(1))?.close();
  t.ok(existsSync(path.join(root, 'c1')), 'one who comes too late takes nothing away');
});

t.test('Attempt writes its record only when it changed', async (t) => {
  const { attempt, file } = await begin(t);
  t.throws(() => attempt.record, /nothing is remembered yet/);
  attempt.rememberFirst(makeRecord({ isComplete: false }));
  const { ino } = statSync(file);
  attempt.remember({});
  attempt.remember({ isComplete: false });
  t.equal(statSync(file).ino, ino, 'the same file');
  attempt.learn({ home: '/home' });
  t.equal(attempt.record.home, '/home');
  t.equal(statSync(file).ino, ino, 'what is only learnt can wait');
  attempt.remember({ isComplete: true });
  t.match(JSON.parse(readFileSync(file, 'utf8')), { home: '/home', isComplete: true });
});

t.test('Attempt undoes the last first, and then runs the poststop hooks of an environment that existed', async (t) => {
  for (const exists of [false, true]) {
    const done: string[] = [];
    const { attempt, root, runtime } = await begin(t, () => {
      done.push(`poststop, ${readdirSync(root).length} left`);
      return Promise.resolve();
    });
    attempt.undoWith('first', () => void done.push('first'));
    attempt.undoWith('second', () => {
      throw new Error('refused');
    });
    if (exists) attempt.environmentExists();
    await attempt.undo();
    t.strictSame(done, exists ? ['first', 'poststop, 0 left'] : ['first']);
    t.strictSame(runtime.lines, ['warning: second: refused']);
    await attempt.undo();
    t.equal(done.length, exists ? 2 : 1, 'once');
  }
});

t.test('Attempt takes the pid file away again', async (t) => {
  const { attempt, root, runtime } = await begin(t);
  const pidFile = path.join(root, 'pid');
  attempt.announce(42, undefined, runtime.caller);
  attempt.announce(42, pidFile, runtime.caller);
  t.equal(readFileSync(pidFile, 'utf8'), '42');
  await attempt.undo();
  t.strictSame(readdirSync(root), []);
});
