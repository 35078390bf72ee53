import { readFileSync } from 'node:fs';
import { expectFailure, expectSuccess, live } from './support/rig.ts';

/** User and system time of a process in clock ticks: fields 14 and 15 of its stat (man 5 proc_pid_stat). */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

live('pause and resume', async (t, rig) => {
  await t.test('a paused container gets no time, a resumed one does', async (t) => {
    const { id, pid } = await rig.sleeper(t, { args: 'while :; do :; done' });
    expectSuccess(t, await rig.tsrun(['pause', id]), 'pause');
    t.equal((await rig.state(id)).status, 'paused');
    const before = ticks(pid);
    // Each of these commands takes longer than a clock tick.
    expectFailure(t, await rig.tsrun(['pause', id]), { message: 'container paused' });
    expectFailure(t, await rig.tsrun(['exec', id, 'true']), {
      code: 255,
      message: 'cannot exec in a paused container (use --ignore-paused to override)',
    });
    expectFailure(t, await rig.tsrun(['start', id]), { message: 'cannot start a container in the paused state' });
    expectFailure(t, await rig.tsrun(['delete', id]), {
      message: `cannot delete container ${id} that is not stopped: paused`,
    });
    t.equal(ticks(pid), before, 'it stands still');
    expectSuccess(t, await rig.tsrun(['resume', id]), 'resume');
    t.equal((await rig.state(id)).status, 'running');
    expectFailure(t, await rig.tsrun(['resume', id]), { message: 'container not paused' });
    t.ok(ticks(pid) > before, 'it goes on');
    await rig.delete(t, id);
  });

  await t.test('a paused container can be killed and deleted', async (t) => {
    const killed = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['pause', killed.id]), 'pause');
    expectSuccess(t, await rig.tsrun(['kill', killed.id, 'KILL']), 'kill');
    await rig.waitForStatus(killed.id, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', killed.id]), 'delete');
    const deleted = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['pause', deleted.id]), 'pause');
    await rig.delete(t, deleted.id);
  });

  await t.test('what is not there or has ended cannot be paused', async (t) => {
    expectFailure(t, await rig.tsrun(['pause', rig.id('none')]), { message: 'does not exist' });
    expectFailure(t, await rig.tsrun(['resume', rig.id('none')]), { message: 'does not exist' });
    const { id } = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectFailure(t, await rig.tsrun(['pause', id]), { message: 'container not running' });
    await rig.delete(t, id);
  });
});
