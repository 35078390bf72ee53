import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { expectSuccess } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { CONTAINERD_TOOLS, withEachRuntime, type Containerd } from './support/containerd.ts';
import { engines } from './support/surroundings.ts';

engines("the surroundings that containerd's shim makes", { tools: CONTAINERD_TOOLS }, async (t, inside) => {
  await withEachRuntime(t, inside, async (t, containerd) => {
    await t.test('nothing of them reaches the container', async (t) => shimSurroundings(t, containerd));
  });
});

/**
 * Notes what the shim runs the runtime in, then becomes the runtime, with a descriptor more.
 * A command substitution would be a pipe of the shell at the first free descriptor, which is looked at here.
 */
const SPY = `#!/bin/sh
case " $* " in *" create "*)
  { readlink /proc/$$/fd/3 || echo; readlink /proc/$$/cwd; umask; cat /proc/$PPID/comm; } >'NOTES'
  exec 9</
esac
exec 'RUNTIME' "$@"
`;

async function shimSurroundings(t: Test, containerd: Containerd): Promise<void> {
  const { inside, runtime } = containerd;
  const notes = inside.fresh('notes');
  const spy = inside.fresh('spy');
  writeFileSync(spy, SPY.replace('NOTES', notes).replace('RUNTIME', runtime.path), { mode: 0o755 });
  const script = 'umask; pwd; exec sleep 1000';
  const output = inside.fresh('container-output');
  const flags = ['--runc-binary', spy, '--detach', '--log-uri', `file://${output}`];
  expectSuccess(t, await containerd.run(flags, 'shim', script));
  const [socket, cwd, umask, parent] = (await inside.run(['cat', notes])).stdout.split('\n');
  // The shim opens it without close-on-exec and closes it a moment later.
  t.match(socket, /^(socket:.*)?$/, 'descriptor 3 of create is a socket, or closed by now');
  t.match(cwd, /\/default\/shim$/, 'its working directory is the bundle');
  t.equal(umask, '0022');
  t.match(parent, 'containerd-shim');
  await waitFor(async () => (await inside.run(['cat', output])).stdout.endsWith('/\n'), 20_000);
  const seen = (await inside.run(['cat', output])).stdout;
  t.equal(seen, '0022\n/\n', 'umask and working directory of the container');

  const pid = await containerd.pid('shim');
  // A shell has descriptors of its own for a while; sleep has none.
  await waitFor(async () => (await inside.run(['cat', `/proc/${pid}/comm`])).stdout === 'sleep\n', 20_000);
  t.equal(
    (await inside.run(['ls', `/proc/${pid}/fd`])).stdout,
    '0\n1\n2\n',
    'no other descriptor reaches the container',
  );
  const shim = await inside.run(['sh', '-c', 'cat /proc/$(sed -n "s/^PPid:\\t//p" /proc/$0/status)/comm', `${pid}`]);
  t.match(shim.stdout, 'containerd-shim', 'the shim is the parent of the container, nobody is between');
  const session = await inside.run(['sh', '-c', 'cat /proc/$0/stat | cut -d" " -f6', `${pid}`]);
  t.equal(Number(session.stdout), pid, 'it leads a session of its own');
  // SIGKILL at the death of the runtime was meant for the runtime, which has ended by now.
  t.equal(await containerd.status('shim'), 'RUNNING');
  await containerd.remove(t, 'shim');
}
