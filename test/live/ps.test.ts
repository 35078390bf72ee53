import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { waitFor } from './support/wait.ts';

live('ps', async (t, rig) => {
  await t.test('lists the processes in every form', async (t) => {
    const { id, pid } = await rig.sleeper(t, { args: 'sleep 1000 & sleep 1001; true' });
    const pids = async (): Promise<number[] | null> => {
      const result = await rig.tsrun(['ps', '--format', 'json', id]);
      expectSuccess(t, result, 'ps');
      t.match(result.stdout, /^(\[[\d,]+\]|null)\n$/, 'one line');
      return JSON.parse(result.stdout) as number[] | null;
    };
    await waitFor(async () => (await pids())?.length === 3);
    const found = (await pids()) ?? [];
    t.ok(found.includes(pid), 'init is among them');
    const table = await rig.tsrun(['ps', id]);
    expectSuccess(t, table);
    const [heading = '', ...lines] = table.stdout.trimEnd().split('\n');
    t.match(heading, /^UID +PID +PPID /);
    t.strictSame(lines.map((line) => Number(line.split(/\s+/)[1])).sort(), [...found].sort());
    const chosen = await rig.tsrun(['ps', id, '-o', 'pid,args', '-e', '--format', 'pid,args']);
    t.match(chosen.stdout, /^ *PID COMMAND/, 'everything behind the id is for ps');
    t.match(chosen.stdout, new RegExp(`^ *${pid} .*sleep`, 'm'));
    await rig.delete(t, id);
  });

  await t.test('finds those in cgroups that the container made', async (t) => {
    const { id, pid } = await rig.sleeper(t, { change: (config) => (config.linux.resources = {}) });
    const { cgroup } = JSON.parse(readFileSync(path.join(rig.root, id, 'state.json'), 'utf8')) as {
      cgroup: { directories: { hostPath: string }[] };
    };
    for (const { hostPath } of cgroup.directories) {
      mkdirSync(`${hostPath}/inner`);
      if (hostPath.includes('/cpuset/')) continue;
      writeFileSync(`${hostPath}/inner/cgroup.procs`, String(pid));
    }
    t.equal((await rig.tsrun(['ps', '-f', 'json', id])).stdout, `[${pid}]\n`);
    await rig.delete(t, id);
  });

  await t.test('has nothing to show of a stopped container', async (t) => {
    const { id } = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    t.match(await rig.tsrun(['ps', '-f', 'json', id]), { code: 0, stdout: 'null\n' }, 'as runc');
    t.match((await rig.tsrun(['ps', id])).stdout, /^UID .*\n$/);
    await rig.delete(t, id);
  });

  await t.test('says what is wrong', async (t) => {
    const { id } = await rig.create(t);
    expectFailure(t, await rig.tsrun(['ps', '-f', 'xml', id]), { message: 'invalid format option' });
    expectFailure(t, await rig.tsrun(['ps', rig.id('none')]), { message: 'does not exist' });
    expectFailure(t, await rig.tsrun(['ps', id, '--no-such-option']), { message: /run \\"ps\\" with .*exit code 1/ });
    expectFailure(t, await rig.tsrun(['ps', id, '-o', 'comm', '-e']), { message: /no column PID/ });
    // A /usr/bin that holds nothing but Node.
    const bin = rig.fresh('bin');
    const script = 'mkdir "$0"; touch "$0/node"; mount --bind "$1" "$0/node"; mount --rbind "$0" /usr/bin; exec "$@"';
    const bare = ['unshare', '--mount', '/bin/sh', '-c', script, bin];
    if (process.execPath === '/usr/bin/node') {
      const result = await rig.tsrun(['ps', id], { under: bare });
      expectFailure(t, result, { message: /run \\"ps\\": it is not installed; --format json needs no ps/ });
    }
    await rig.delete(t, id);
  });

  await t.test('needs a cgroup', async (t) => {
    const id = rig.id('none');
    const created = await rig.tsrun(['create', '--bundle', rig.bundle(), id], {
      global: ['--cgroup-manager', 'disabled'],
    });
    expectSuccess(t, created, 'create');
    expectFailure(t, await rig.tsrun(['ps', '-f', 'json', id]), { message: /it has no cgroup/ });
    await rig.delete(t, id);
  });
});
