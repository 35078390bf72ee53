import t, { type Test } from 'tap';
import { criuEnvironment, criuReason } from '../live/support/criu.ts';
import { expectSuccess } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { podmanTests, type Podman } from './support/podman.ts';

const COUNT = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.1; done'];

if (criuReason !== false) void t.test('podman with CRIU', { skip: criuReason }, () => undefined);
else
  podmanTests('podman saves and restores containers', { tools: [] }, async (declare, _t, inside) => {
    await declare('checkpoint and restore', async (t, podman) => {
      const name = await podman.start(t, 'saved', [], COUNT);
      const before = await count(podman, name);
      await by(t, podman, 'checkpoint', name);
      t.match(await podman.inspect(name, '{{.State.Status}}'), /exited|stopped/);
      await by(t, podman, 'restore', name);
      await goesOn(t, podman, name, before);
      await by(t, podman, 'checkpoint', '--leave-running', name);
      await goesOn(t, podman, name, before);
      expectSuccess(t, await podman.podman(['rm', '--force', '--time', '0', name]));
      t.ok(podman.calls().includes('checkpoint'), 'the runtime under test did it');
    });

    await declare('an image that is exported is restored by another name', async (t, podman) => {
      const name = await podman.start(t, 'exported', [], COUNT);
      const before = await count(podman, name);
      const archive = `${inside.fresh('exported')}.tar.gz`;
      await by(t, podman, 'checkpoint', '--compress', 'gzip', '--export', archive, name);
      expectSuccess(t, await podman.podman(['rm', '--force', '--time', '0', name]));
      const other = podman.name('imported');
      await by(t, podman, 'restore', '--import', archive, '--name', other);
      await goesOn(t, podman, other, before);
      expectSuccess(t, await podman.podman(['rm', '--force', '--time', '0', other]));
    });
  });

async function by(t: Test, podman: Podman, ...args: readonly string[]): Promise<void> {
  const result = await podman.podman(['container', ...args], { env: criuEnvironment, timeoutMs: 120_000 });
  expectSuccess(t, result, `podman container ${args.join(' ')}`);
}

async function count(podman: Podman, name: string): Promise<number> {
  let number = 0;
  await waitFor(async () => {
    number = Number((await podman.podman(['exec', name, 'cat', '/count'])).stdout);
    return number > 0;
  });
  return number;
}

async function goesOn(t: Test, podman: Podman, name: string, from: number): Promise<void> {
  const first = await count(podman, name);
  t.ok(first >= from, `it goes on from where it was: ${first} after ${from}`);
  await waitFor(async () => (await count(podman, name)) > first);
}
