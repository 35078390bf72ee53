import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCgroups } from '../live/support/leftovers.ts';
import { expectSuccess } from '../live/support/rig.ts';
import { isRunning, waitFor } from '../live/support/wait.ts';
import { engines } from './support/surroundings.ts';

const script = fileURLToPath(new URL('support/surroundings.sh', import.meta.url));

engines('surroundings', { tools: [] }, async (t, inside) => {
  await t.test('what a command does inside stays inside', async (t) => {
    const made = ['/etc', '/var/lib', '/run', '/tmp', '/var/tmp', '/dev/shm', '/var/lib/containers'].map(
      (directory) => `${directory}/made-by-tsrun-test`,
    );
    expectSuccess(t, await inside.run(['touch', ...made]));
    t.strictSame(made.filter(existsSync), []);
    const { stdout } = await inside.run(['sh', '-c', 'ls -d "$@"', 'sh', ...made]);
    t.strictSame(stdout.trim().split('\n'), [...made].sort());
  });

  await t.test('cgroups, processes and the network look like those of a machine without anybody else', async (t) => {
    const cgroups = await inside.run(['cut', '-d:', '-f3', '/proc/self/cgroup']);
    t.match(cgroups.stdout, /^(\/\n)+$/);
    const first = await inside.run(['cat', '/proc/1/comm']);
    t.equal(first.stdout, 'sh\n');
    const links = await inside.run(['ls', '/sys/class/net']);
    t.equal(links.stdout, 'lo\n');
  });

  await t.test(
    'they end with whoever holds the other end of their input, frozen and orphaned processes included',
    async (t) => {
      const name = 'tsrun-engines-frozen';
      const directory = inside.fresh(name);
      mkdirSync(directory);
      const supervisor = spawn('sh', [script, 'hold', directory, name, '60'], {
        detached: true,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await waitForText(supervisor.stdout, 'ready');
      const frozen =
        'setsid sleep 600 & d=/sys/fs/cgroup/freezer/deep; mkdir $d; echo $! >$d/cgroup.procs; echo FROZEN >$d/freezer.state';
      const enter = spawn('sh', [script, 'enter', directory, '/', 'sh', '-c', frozen], { stdio: 'ignore' });
      const [code] = (await once(enter, 'exit')) as [number];
      t.equal(code, 0);
      t.not(findCgroups({ prefix: name }).length, 0);
      const outer = Number(readFileSync(path.join(directory, 'outer.pid'), 'utf8'));
      t.ok(isRunning(outer));
      supervisor.stdin.destroy();
      await waitFor(() => !existsSync(directory), 30_000);
      t.strictSame(findCgroups({ prefix: name }), []);
      t.notOk(isRunning(outer));
    },
  );
});

async function waitForText(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  for await (const bytes of stream) if (String(bytes).includes(text)) return;
  throw new Error(`it ended without saying ${text}`);
}
