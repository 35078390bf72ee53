import { existsSync, mkdirSync, readFileSync, watch } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { RunningCommand } from '../live/support/command.ts';
import { listOwnProcesses } from '../live/support/leftovers.ts';
import { expectSuccess, live, type Rig } from '../live/support/rig.ts';
import { wantedPlanner } from '../live/support/planner.ts';
import { missingTools } from '../live/support/surroundings.ts';
import { isRunning, waitFor } from '../live/support/wait.ts';
import { count } from './count.mjs';

const KILLS = 40;

function isProgram(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep');
}

type Outcome = 'nothing' | 'half' | 'whole';

/** What a create that was cut short may leave: all of a container, or what `delete --force` takes away. */
async function checkAfterKill(t: Test, rig: Rig, id: string, moment: string): Promise<Outcome> {
  count('kills of tsrun');
  const outcome = await judge(t, rig, id, moment);
  const removed = existsSync(path.join(rig.root, id)) ? await rig.tsrun(['delete', '--force', id]) : undefined;
  if (removed !== undefined && removed.code !== 0) t.fail(`${moment}: delete --force: ${removed.stderr}`);
  const left = rig.leftovers().filter((line) => line.includes(id) || line.startsWith('process'));
  if (left.length > 0) t.fail(`${moment}: delete --force leaves ${left.join('; ')}`);
  return outcome;
}

async function judge(t: Test, rig: Rig, id: string, moment: string): Promise<Outcome> {
  if (existsSync(path.join(rig.root, id, 'state.json'))) {
    const start = await rig.tsrun(['start', id]);
    if (start.code === 0) return 'whole';
    // A planner outlives the caller that is killed, and is taking away what it has made.
    const wanted = wantedPlanner === undefined ? /that has stopped/ : /that has stopped|does not exist/;
    t.match(start.stderr, wanted, `${moment}: what does not start has stopped`);
  }
  await waitFor(() => listOwnProcesses(rig.marks()).length === 0).catch(() => {
    t.fail(`${moment}: a process outlives its maker: ${rig.leftovers().join('; ')}`);
  });
  return rig.leftovers().some((line) => line.includes(id)) ? 'half' : 'nothing';
}

/** Calls back as soon as a container's state directory is there; before that, create has made nothing. */
function onStateDirectory(rig: Rig, id: string, callback: () => void): { close(): void } {
  const watcher = watch(rig.root, (_event, name) => {
    if (name !== id) return;
    watcher.close();
    callback();
  });
  return watcher;
}

live('tsrun create is killed', async (t, rig) => {
  const bundle = rig.bundle({ args: ['true'] });
  mkdirSync(rig.root, { mode: 0o700 });

  await t.test('at any moment: no half container runs, and delete --force leaves nothing', async (t) => {
    const whole = rig.id('whole');
    let before = 0;
    onStateDirectory(rig, whole, () => (before = performance.now()));
    expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, whole]), 'create');
    const durationMs = performance.now() - before;
    await rig.delete(t, whole);
    const outcomes = { nothing: 0, half: 0, whole: 0 };
    for (let index = 0; index < KILLS; index++) {
      const delayMs = (durationMs * 1.1 * index) / KILLS;
      const id = rig.id('killed');
      let timer: NodeJS.Timeout | undefined;
      const running: RunningCommand = rig.startTsrun(['create', '--bundle', bundle, id]);
      const watcher = onStateDirectory(
        rig,
        id,
        () => (timer = setTimeout(() => running.child.kill('SIGKILL'), delayMs)),
      );
      await running.done;
      watcher.close();
      clearTimeout(timer);
      outcomes[await checkAfterKill(t, rig, id, `killed ${delayMs.toFixed(0)} ms after it began`)] += 1;
    }
    t.comment(
      `a create takes ${durationMs.toFixed(0)} ms from its state directory on; ${KILLS} kills left ${JSON.stringify(outcomes)}`,
    );
    // What a planner was making is gone again.
    const halfMade = outcomes.half + (wantedPlanner === undefined ? 0 : outcomes.nothing);
    t.ok(halfMade > 0, 'some kills hit a half-made container');
  });

  await t.test('at chosen system calls', { skip: missingTools('strace') }, async (t) => {
    const outcomes: string[] = [];
    const moments = [
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => ['sendmsg', number] as const),
      ...[1, 3, 5, 7].map((number) => ['recvmsg', number] as const),
      ...[1, 2, 3].map((number) => ['renameat,renameat2,rename', number] as const),
      ...[2, 4].map((number) => ['mkdir,mkdirat', number] as const),
      ...['socketpair', 'bind', 'prlimit64'].map((call) => [call, 1] as const),
    ];
    for (const [call, number] of moments) {
      const id = rig.id('injected');
      const log = rig.fresh('strace');
      // Without -f: init is another process, which strace would keep from ending.
      const argv = ['strace', '-o', log, '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${number}`];
      const result = await rig.startTsrun(['create', '--bundle', bundle, id], { under: argv }).done;
      const hit = readFileSync(log, 'utf8').includes('killed by SIGKILL');
      const outcome = await checkAfterKill(t, rig, id, `killed at ${call} number ${number}`);
      if (hit) t.not(result.code, 0);
      outcomes.push(`${call} ${number}: ${hit ? outcome : 'not reached'}`);
    }
    t.comment(outcomes.join(', '));
    t.ok(outcomes.filter((outcome) => outcome.endsWith('half')).length >= 3, 'some kills hit a half-made container');
  });
});

live('tsrun start is killed', async (t, rig) => {
  for (const call of ['connect', 'sendmsg', 'unlink,unlinkat,rmdir', 'exit_group']) {
    await t.test(
      `at ${call}: the status tells whether the program runs`,
      { skip: missingTools('strace') },
      async (t) => {
        const { id, pid } = await rig.create(t, { args: ['sleep', '1000'] });
        const log = rig.fresh('strace');
        const under = ['strace', '-o', log, '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=1`];
        await rig.tsrun(['start', id], { under });
        const hit = readFileSync(log, 'utf8').includes('killed by SIGKILL');
        // Until init has read what it was sent, it does not run, and has not ended either.
        await waitFor(() => !isRunning(pid) || isProgram(pid) || !hit, 2000).catch(() => undefined);
        if (hit) count('kills of tsrun');
        const { status } = await rig.state(id);
        const runs = isRunning(pid) && isProgram(pid);
        t.comment(`${hit ? 'killed' : 'not reached'}: ${status}, the program ${runs ? 'runs' : 'does not run'}`);
        if (runs) t.equal(status, 'running');
        else t.match(status, /^(created|stopped)$/);
        if (status === 'created')
          expectSuccess(t, await rig.tsrun(['start', id]), 'a created container can be started');
        await rig.delete(t, id);
        t.strictSame(rig.leftovers(), []);
      },
    );
  }
});

live('tsrun run is killed', async (t, rig) => {
  await t.test('the container goes on, and delete --force takes it away', async (t) => {
    const id = rig.id('orphan');
    const running = rig.startTsrun(['run', '--bundle', rig.bundle({ args: 'echo ready; exec sleep 1000' }), id]);
    await waitFor(() => running.output().includes('ready'));
    running.child.kill('SIGKILL');
    count('kills of tsrun');
    await running.done;
    t.equal((await rig.state(id)).status, 'running');
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });
});
