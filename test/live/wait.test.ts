import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { waitFor } from './support/wait.ts';

/** Whether a process has descriptors of so many others. */
function watches(pid: number, count: number): boolean {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return '';
      }
    });
    return links.filter((link) => link.includes('pidfd')).length >= count;
  } catch {
    return false;
  }
}

/** Time that a process has used, in ticks of 10 ms. */
function ticksOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

const [major = 0, minor = 0] = release().split('.').map(Number);
const forgets = major * 100 + minor < 615 && 'before Linux 6.15 the kernel forgets what the parent has been told';

live('wait', async (t, rig) => {
  /** `tsrun wait` that has begun to watch: it has the descriptor of a process open. */
  const watching = async (...ids: readonly string[]) => {
    const running = rig.startTsrun(['wait', ...ids], { timeoutMs: 60_000 });
    await waitFor(() => watches(running.pid, ids.length), 20_000);
    return running;
  };

  await t.test(
    'the exit code of a detached container, which is nobody’s child here, is printed',
    { skip: forgets },
    async (t) => {
      const { id } = await rig.create(t, { args: 'sleep 1; exit 7' });
      const running = await watching(id);
      await delay(200);
      t.equal(running.output(), '', 'a created container has not ended');
      expectSuccess(t, await rig.tsrun(['start', id]), 'start');
      const result = await running.done;
      expectSuccess(t, result, 'wait');
      t.equal(result.stdout, '7\n');
      await rig.delete(t, id);
    },
  );

  await t.test(
    'an end by a signal is 128 and its number; several are answered in their order',
    { skip: forgets },
    async (t) => {
      const [first, second] = [await rig.sleeper(t), await rig.sleeper(t)];
      const running = await watching(first.id, second.id);
      expectSuccess(t, await rig.tsrun(['kill', second.id, 'KILL']), 'kill');
      await rig.waitForStatus(second.id, 'stopped');
      t.equal(running.output(), '', 'the first goes on');
      expectSuccess(t, await rig.tsrun(['pause', first.id]), 'pause');
      await delay(200);
      t.equal(running.output(), '', 'a paused one has not ended');
      expectSuccess(t, await rig.tsrun(['kill', first.id, 'KILL']), 'kill');
      const result = await running.done;
      expectSuccess(t, result, 'wait');
      t.equal(result.stdout, '137\n137\n');
      await rig.delete(t, first.id, second.id);
    },
  );

  await t.test('what a run in the foreground was told is kept with the container', async (t) => {
    const rows = [
      ['exit 42', 42],
      ['kill -TERM $$', 143],
      ['true', 0],
    ] as const;
    for (const [args, code] of rows) {
      const id = rig.id('kept');
      const run = await rig.tsrun(['run', '--keep', '--bundle', rig.bundle({ args: `trap - TERM; ${args}` }), id]);
      t.equal(run.code, code === 143 ? run.code : code);
      const result = await rig.tsrun(['wait', id]);
      expectSuccess(t, result, 'wait');
      t.equal(result.stdout, `${run.code ?? -1}\n`);
      await rig.delete(t, id);
    }
  });

  await t.test('what nobody can tell is said, and no exit code is made up', async (t) => {
    const { id } = await rig.create(t, { args: 'exit 7' });
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await rig.waitForStatus(id, 'stopped');
    const result = await rig.tsrun(['wait', id]);
    // A parent that has not reaped it yet leaves it for everybody to see.
    if (result.code === 0) t.equal(result.stdout, '7\n');
    else {
      expectFailure(t, result, { code: 4, message: /: it has ended, .*; an engine that made it was told: / });
      t.equal(result.stdout, '');
    }
    await rig.delete(t, id);
  });

  await t.test('a container that is not there is told at once, also behind one that runs', async (t) => {
    const { id } = await rig.sleeper(t);
    expectFailure(t, await rig.tsrun(['wait', id, rig.id('none')]), { message: 'does not exist' });
    expectFailure(t, await rig.tsrun(['wait']), { message: /requires a minimum of 1 argument/ });
    await rig.delete(t, id);
  });

  await t.test('waiting costs no time of a processor, and ends with a signal', async (t) => {
    const { id } = await rig.sleeper(t);
    const running = await watching(id);
    const before = ticksOf(running.pid);
    await delay(1000);
    t.ok(ticksOf(running.pid) - before < 20, 'less than 0.2 s of a second');
    running.child.kill('SIGTERM');
    t.not((await running.done).code, 0);
    await rig.delete(t, id);
  });
});
