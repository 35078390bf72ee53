import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { ENGINE_FILE, SHIM_FILE } from '../../src/util/launched.ts';
import { tsrunFile } from '../live/support/surroundings.ts';
import { expectSuccess } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { CONTAINERD_TOOLS, withEachRuntime, type Containerd } from './support/containerd.ts';
import type { Runtime } from './support/runtimes.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

const PATIENCE_MS = 30_000;

/** A launcher whose engine writes down its action before it starts. */
class Counted {
  readonly runtime: Runtime;
  readonly #log: string;
  readonly #failing: string;

  constructor(inside: Surroundings, environment: Readonly<Record<string, string>>) {
    const directory = inside.fresh('counted');
    mkdirSync(directory);
    const launcher = path.join(directory, SHIM_FILE);
    this.#log = path.join(directory, 'log');
    this.#failing = path.join(directory, 'failing');
    const name = 'TSRUN_SHIM_SHARED' in environment ? 'tsrun-shared' : 'tsrun-shim';
    this.runtime = { name, path: launcher, isShim: true, environment };
    const built = path.dirname(tsrunFile);
    copyFileSync(path.join(built, SHIM_FILE), launcher);
    const script = [
      `for last; do :; done; echo "$last" >>'${this.#log}'`,
      `if [ -e '${this.#failing}' ] && [ "$last" = delete ]; then exit 1; fi`,
      `exec -a '${launcher}' '${built}/${ENGINE_FILE}' "$@"`,
    ].join('\n');
    writeFileSync(path.join(directory, ENGINE_FILE), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  }

  /** Runs something while no engine deletes anything. */
  async withoutDelete(body: () => Promise<void>): Promise<void> {
    writeFileSync(this.#failing, '');
    await body();
    rmSync(this.#failing);
  }

  /** Actions of the engines that were started since the last call. */
  take(): string[] {
    const text = readFileSync(this.#log, 'utf8');
    writeFileSync(this.#log, '');
    return text.trim().split('\n').filter(Boolean);
  }
}

if (!tsrunFile.endsWith('.js'))
  engines('engines that a shim starts', { tools: [...CONTAINERD_TOOLS, 'bash'] }, async (t, inside) => {
    const own = new Counted(inside, {});
    const shared = new Counted(inside, { TSRUN_SHIM_SHARED: '1' });
    const body = async (t: Test, containerd: Containerd): Promise<void> =>
      containerd.runtime === own.runtime ? ofOwn(t, containerd, own) : ofShared(t, containerd, shared);
    await withEachRuntime(t, inside, body, () => [own.runtime, shared.runtime]);
  });

async function ofOwn(t: Test, containerd: Containerd, counted: Counted): Promise<void> {
  expectSuccess(t, await containerd.run(['--rm'], 'usual', ['true']));
  t.strictSame(counted.take(), ['start'], 'none for delete after a usual end');
  for (const id of ['pod', 'second'])
    await containerd.sleeper(t, id, ['--annotation', 'io.kubernetes.cri.sandbox-id=pod']);
  for (const id of ['second', 'pod']) await containerd.remove(t, id);
  t.strictSame(counted.take(), ['start', 'start'], 'nor for those of a pod');
}

async function ofShared(t: Test, containerd: Containerd, counted: Counted): Promise<void> {
  await containerd.sleeper(t, 'first');
  t.strictSame(counted.take(), ['start']);
  expectSuccess(t, await containerd.run(['--rm'], 'second', ['true']));
  const failed = await containerd.run(['--rm'], 'third', ['/no/such/program']);
  t.match(failed.stderr, 'no such file or directory');
  const file = containerd.inside.fresh('options.json');
  const flags = ['--rm', '--runtime-config-path', file];
  writeFileSync(file, '{ "Shared": true }');
  for (const id of ['fourth', 'fifth', 'sixth'])
    expectSuccess(t, await containerd.run(flags, id, ['true']), 'with options');
  await containerd.remove(t, 'first');
  const later = counted.take();
  // A machine that is busy may keep a launcher waiting for longer than it has patience.
  t.ok(later.length <= 1, `none for those that come later: ${later.join(' ')}`);
  writeFileSync(file, '{ "Shared": false, "Root": "/run/elsewhere" }');
  expectSuccess(t, await containerd.run(flags, 'apart', ['true']));
  t.strictSame(counted.take(), ['start'], 'one for what the shim is not there for, which has its options');
  t.equal((await containerd.inside.output(['ls', '/run/elsewhere'])).trim(), 'default');
  await leavesOrphans(t, containerd, counted);
}

async function leavesOrphans(t: Test, containerd: Containerd, counted: Counted): Promise<void> {
  const { inside } = containerd;
  const isThere = async (pid: number): Promise<boolean> =>
    (await inside.run(['test', '-e', `/proc/${pid}`])).code === 0;
  const ids = ['orphan-0', 'orphan-1'];
  for (const id of ids) await containerd.sleeper(t, id);
  const pids = await Promise.all(ids.map(async (id) => containerd.pid(id)));
  await counted.withoutDelete(async () => {
    const status = await inside.output(['cat', `/proc/${pids[0] ?? 0}/status`]);
    await inside.output(['kill', '-KILL', /^PPid:\s*(\d+)/m.exec(status)?.[1] ?? '']);
    await waitFor(() => counted.take().includes('delete'), PATIENCE_MS);
    await waitFor(async () => (await containerd.output(t, ['task', 'list', '--quiet'])) === '', PATIENCE_MS);
  });
  for (const pid of pids) t.ok(await isThere(pid), 'containerd has had no success');
  await containerd.sleeper(t, 'next');
  for (const pid of pids) await waitFor(async () => !(await isThere(pid)), PATIENCE_MS);
  t.equal(
    (await inside.output(['ls', '/run/containerd/tsrun/default'])).trim(),
    'next',
    'the next shim has removed them',
  );
  t.equal(await containerd.status('next'), 'RUNNING');
  await containerd.remove(t, 'next');
}
