import { readFileSync, writeFileSync } from 'node:fs';
import type { RunningCommand } from './support/command.ts';
import { make } from './support/planner-ends.ts';
import { LAUNCHER, TestPlanner } from './support/planner.ts';
import { livePlanners } from './support/rig.ts';
import { slowness } from './support/surroundings.ts';
import { isRunning, waitFor } from './support/wait.ts';

/** 1 s of silence, 5 s stopped, and what the command takes on a busy machine. */
const NOTICED_S = 9;

livePlanners('a planner that stands still', async (t, rig) => {
  const hooked = rig.bundle({
    args: ['sh', '-c', 'exit 6'],
    change(config) {
      const args = ['sh', '-c', `echo >> ${rig.path('seen')}; sleep 4`];
      config.hooks = { createContainer: [{ path: '/bin/sh', args }] };
    },
  });
  const waits = rig.bundle({ args: ['sh', '-c', 'echo hi; sleep 7; exit 3'] });
  const sleeps = rig.bundle({ args: ['sleep', '1000'] });

  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    await t.test(`${signal} while it waits for programs and a hook`, async (t) => {
      writeFileSync(rig.path('seen'), '');
      const planner = await TestPlanner.start(rig.path('planner.err'));
      const other = rig.id('sleeps');
      await make(rig, other, sleeps, 'start');
      const start = (...args: readonly string[]): RunningCommand => rig.start([LAUNCHER, '--root', rig.root, ...args]);
      const created = rig.id('created');
      const commands: Record<string, RunningCommand> = {};
      // One after the other: what a planner does for the first time takes longer than launchers wait.
      for (const [name, args] of [
        ['run', ['run', '--bundle', waits, rig.id('run')]],
        ['kept', ['run', '--keep', '--bundle', waits, rig.id('kept')]],
        ['exec', ['exec', other, 'sh', '-c', 'echo hi; sleep 7; kill -KILL $$']],
        ['create', ['create', '--bundle', hooked, created]],
        ['hooked', ['run', '--bundle', hooked, rig.id('hooked')]],
      ] as const) {
        const before = planner.report().underWay;
        commands[name] = start(...args);
        await waitFor(() => planner.report().underWay > before);
      }
      await waitFor(() => {
        const isSaid = ['run', 'kept', 'exec'].every((name) => commands[name]?.output() === 'hi\n');
        return isSaid && readFileSync(rig.path('seen'), 'utf8').length >= 2;
      });
      const report = planner.report();
      t.equal(report.underWay, 5, `all of them are served: ${JSON.stringify(report)}`);
      planner.signal(signal);
      const begin = performance.now();
      const ended = await Promise.all(
        Object.entries(commands).map(async ([name, { done }]) => {
          const { code, stdout, stderr } = await done;
          return [name, { code, stdout, stderr, seconds: (performance.now() - begin) / 1000 }] as const;
        }),
      );
      const found = Object.fromEntries(
        ended.map(([name, { code, stdout, stderr }]) => [name, { code, stdout, stderr }]),
      );
      t.strictSame(found, {
        run: { code: 3, stdout: 'hi\n', stderr: '' },
        kept: { code: 3, stdout: 'hi\n', stderr: '' },
        exec: { code: 137, stdout: 'hi\n', stderr: '' },
        create: { code: 0, stdout: '', stderr: '' },
        hooked: { code: 6, stdout: '', stderr: '' },
      });
      // The hook takes its 4 s once more.
      for (const [name, { seconds }] of ended)
        t.ok(seconds < (NOTICED_S + 5) * slowness, `${name}: ${seconds.toFixed(1)} s`);
      await waitFor(() => !isRunning(planner.pid));
      t.strictSame([(await rig.state(created)).status, (await rig.state(other)).status], ['created', 'running']);
      await planner.end('SIGKILL');
      const next = await rig.start([LAUNCHER, '--root', rig.root, 'state', other]).done;
      t.equal(next.code, 0, 'the next one does without');
      t.equal(planner.errors(), '');
    });
  }

  await t.test('before it hears of a command: nobody waits for it', async (t) => {
    const planner = await TestPlanner.start(rig.path('planner.err'));
    planner.signal('SIGSTOP');
    const cold: number[] = [];
    const stopped: number[] = [];
    for (let count = 0; count < 5; count++) {
      const begin = performance.now();
      t.equal((await rig.start([LAUNCHER, '--root', rig.root, 'state', 'nobody']).done).code, 1);
      stopped.push(performance.now() - begin);
    }
    await planner.end('SIGKILL');
    for (let count = 0; count < 5; count++) {
      const begin = performance.now();
      t.equal((await rig.start([LAUNCHER, '--root', rig.root, 'state', 'nobody']).done).code, 1);
      cold.push(performance.now() - begin);
    }
    const waited = Math.min(...stopped) - Math.min(...cold);
    t.ok(waited < 70 * slowness, `${waited.toFixed(0)} ms`);
  });
});
