import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expectSuccess, live } from './support/rig.ts';
import { findCgroups } from './support/leftovers.ts';
import { prefixOf, removeStaleRigs, RIG_DIRECTORY, signRig } from './support/stale-rigs.ts';
import { isRunning, waitFor } from './support/wait.ts';

live('what a killed process of the tests has left is removed by the next', async (t, rig) => {
  const owner = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const pid = owner.pid ?? 0;
  const directory = mkdtempSync(path.join(tmpdir(), RIG_DIRECTORY));
  const id = `${prefixOf(directory)}-paused`;
  const root = path.join(directory, 'state');
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  signRig(directory, pid);
  const unsigned = mkdtempSync(path.join(tmpdir(), RIG_DIRECTORY));
  t.teardown(() => {
    rmSync(unsigned, { recursive: true, force: true });
  });
  mkdirSync(root, { mode: 0o700 });
  const bundle = rig.bundle({ args: ['sleep', '1000'] });
  try {
    for (const words of [
      ['create', '--bundle', bundle, id],
      ['start', id],
      ['pause', id],
    ])
      expectSuccess(t, await rig.tsrun(words, { global: ['--root', root] }));
    const { stdout } = await rig.tsrun(['state', id], { global: ['--root', root] });
    const container = (JSON.parse(stdout) as { pid: number }).pid;

    removeStaleRigs();
    t.ok(isRunning(container) && existsSync(directory), 'as long as its process lives it stays');

    owner.kill('SIGKILL');
    await waitFor(() => !isRunning(pid));
    removeStaleRigs();
    t.notOk(isRunning(container), 'its container has ended');
    t.strictSame(findCgroups({ prefix: prefixOf(directory) }), [], 'its cgroups are gone');
    t.notOk(existsSync(directory), 'and so is its directory');
    t.ok(existsSync(unsigned), 'what nobody has signed stays');
  } finally {
    owner.kill('SIGKILL');
    await rig.tsrun(['delete', '--force', id], { global: ['--root', root] });
  }
});
