import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { criuEnvironment, criuFile, criuReason } from '../live/support/criu.ts';
import { BUSYBOX } from '../live/support/surroundings.ts';
import { expectSuccess } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { writeImage } from './support/image.ts';
import { Containerd, CONTAINERD_TOOLS } from './support/containerd.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

const lib = fileURLToPath(new URL('../../dist/lib/shim', import.meta.url));

/**
 * Does what containerd does with a shim and a container that counts into a FIFO: saves it, and restores it with another FIFO. Prints what
 * became of each step.
 */
const CALLER = `
import { spawnSync } from 'node:child_process';
import { createReadStream, rmSync } from 'node:fs';
import { Client } from '${lib}/ttrpc/client.js';
import { decode, encode } from '${lib}/../protobuf/codec.js';
import { CHECKPOINT_OPTIONS, METHODS } from '${lib}/wire/task.js';
const { shim, bundle, image } = JSON.parse(process.argv[2]);
const id = 'x';
const seen = {};
const counts = [];
const kind = 'containerd.runc.v1.CheckpointOptions';
const save = (options) => ({ id, path: image, options: { typeUrl: kind, value: encode(CHECKPOINT_OPTIONS, options) } });
async function withShim(fifo, body) {
  spawnSync('mkfifo', [fifo]);
  const flags = ['-namespace', 'default', '-address', '/run/nobody.sock', '-publish-binary', '/bin/true', '-id', id];
  const started = spawnSync(shim, [...flags, 'start'], { cwd: bundle, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const client = await Client.connect(started.stdout.trim().replace('unix://', ''));
  const call = async (method, request) => {
    const { request: asked, response } = METHODS[method];
    const payload = encode(asked, request);
    return decode(response, await client.call({ service: 'containerd.task.v2.Task', method, payload, timeoutMs: 600000 }));
  };
  const stream = createReadStream(fifo, 'utf8');
  let text = '';
  stream.on('data', (chunk) => {
    const lines = (text + chunk).split('\\n');
    text = lines.pop();
    counts.push(...lines.map(Number));
  });
  try {
    await body(call);
  } finally {
    await call('Shutdown', { id, now: true }).catch(() => undefined);
    client[Symbol.dispose]();
    stream.destroy();
  }
}
const failure = async (promise) => promise.then(() => 'none', (error) => error.message);
const until = async (number) => {
  while ((counts.at(-1) ?? 0) < number) await new Promise((resolve) => setTimeout(resolve, 20));
};
const first = bundle + '/first';
await withShim(first, async (call) => {
  seen.created = (await call('Create', { id, bundle, stdout: first, stderr: first })).pid > 0;
  await call('Start', { id });
  await until(3);
  seen.wrong = await failure(call('Checkpoint', { id, path: 'nowhere' }));
  seen.unknown = await failure(call('Checkpoint', save({ emptyNamespaces: ['pid'] })));
  await call('Pause', { id });
  await call('Checkpoint', save({}));
  seen.paused = (await call('State', { id })).status;
  rmSync(image, { recursive: true });
  await call('Resume', { id });
  await until(counts.at(-1) + 2);
  await call('Checkpoint', save({ exit: true, openTcp: true, fileLocks: true, cgroupsMode: 'soft' }));
  seen.ended = (await call('Wait', { id })).exitStatus;
  seen.deleted = (await call('Delete', { id })).exitStatus;
  seen.gone = await failure(call('State', { id }));
});
seen.saved = counts.length;
const second = bundle + '/second';
await withShim(second, async (call) => {
  const restored = { id, bundle, stdout: second, stderr: second, checkpoint: image };
  seen.waiting = (await call('Create', restored)).pid;
  seen.state = (await call('State', { id })).status;
  seen.pids = (await call('Pids', { id })).processes;
  seen.early = await failure(call('Pause', { id }));
  seen.killed = await failure(call('Kill', { id, signal: 9 }));
  seen.started = (await call('Start', { id })).pid > 0;
  seen.again = await failure(call('Start', { id }));
  await until(seen.saved + 5);
  await call('Kill', { id, signal: 15 });
  seen.end = (await call('Wait', { id })).exitStatus;
  await call('Delete', { id });
});
const third = bundle + '/third';
await withShim(third, async (call) => {
  await call('Create', { id, bundle, stdout: third, checkpoint: image + '/nowhere' });
  seen.missing = await failure(call('Start', { id }));
  await call('Delete', { id });
  seen.left = await failure(call('State', { id }));
});
console.log(JSON.stringify({ seen, counts }));
process.exit(0);
`;

const COUNT = 'trap "exit 5" TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done';

function makeBundle(inside: Surroundings): string {
  const bundle = inside.fresh('bundle');
  for (const name of ['bin', 'dev', 'proc']) mkdirSync(path.join(bundle, 'rootfs', name), { recursive: true });
  writeFileSync(`${bundle}/rootfs/bin/busybox`, readFileSync(BUSYBOX), { mode: 0o755 });
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: {
      args: ['/bin/busybox', 'sh', '-c', COUNT],
      cwd: '/',
      env: ['PATH=/bin'],
      user: { uid: 0, gid: 0 },
    },
    mounts: [
      { type: 'proc', source: 'proc', destination: '/proc' },
      { type: 'tmpfs', source: 'tmpfs', destination: '/dev' },
    ],
    linux: { namespaces: ['mount', 'pid', 'ipc', 'uts', 'network'].map((type) => ({ type })) },
  };
  writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
  return bundle;
}

engines('checkpoints by the shim', { tools: [] }, async (t, inside) => {
  await t.test('a container is saved, and restored when it is started', { skip: criuReason }, async (t) =>
    alone(t, inside),
  );
});

engines('checkpoints by containerd', { tools: CONTAINERD_TOOLS }, async (t, inside) => {
  const runtimes = listRuntimesAndShims(inside).filter(({ name, isShim }) => name === 'runc' || isShim === true);
  for (const runtime of runtimes) {
    await t.test(`with ${runtime.name}`, { skip: criuReason }, async (t) => {
      t.setTimeout(0);
      const containerd = await Containerd.start(inside, runtime, { programs: { criu: criuFile } });
      try {
        const archive = inside.path('image.tar');
        writeImage(archive);
        await containerd.output(t, ['images', 'import', archive]);
        await byContainerd(t, containerd);
      } finally {
        await containerd.daemon.stop(t);
      }
    });
  }
});

async function alone(t: Test, inside: Surroundings): Promise<void> {
  const shim = listRuntimesAndShims(inside).find(({ isShim }) => isShim === true)?.path ?? '';
  const bundle = makeBundle(inside);
  const caller = `${inside.fresh('caller')}.mjs`;
  writeFileSync(caller, CALLER);
  const asked = JSON.stringify({ shim, bundle, image: inside.fresh('image') });
  const result = await inside.run([process.execPath, caller, asked], { env: criuEnvironment, timeoutMs: 120_000 });
  expectSuccess(t, result, 'the caller');
  const { seen, counts } = JSON.parse(result.stdout) as { seen: Record<string, unknown>; counts: number[] };
  t.match(seen, {
    created: true,
    wrong: /the image is at "nowhere", wanted an absolute path/,
    unknown: /the namespace "pid" is to be empty, wanted "network"/,
    paused: 4,
    ended: 137,
    deleted: 137,
    gone: /not found/,
    waiting: 0,
    state: 1,
    pids: [],
    early: /container "x" is restored when it is started/,
    killed: /process already finished/,
    started: true,
    again: /cannot start/,
    end: 5,
    missing: /OCI runtime start failed: open directory .*nowhere/,
    left: /not found/,
  });
  t.strictSame(
    counts,
    Array.from({ length: counts.length }, (_, index) => index + 1),
    'it has gone on counting, and nothing is lost between the two FIFOs',
  );
  t.strictSame((await inside.run(['ls', `${bundle}/criu-work`])).stdout, '', 'CRIU has left nothing');
}

async function byContainerd(t: Test, containerd: Containerd): Promise<void> {
  const count = 'i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.1; done';
  const args = containerd.runArgs(['--detach', '--null-io'], 'saved', count);
  expectSuccess(t, await containerd.ctr(args), 'ctr run');
  const read = async (id: string): Promise<number> => {
    let number = 0;
    await waitFor(async () => {
      const exec = ['task', 'exec', '--exec-id', `read-${Date.now()}`, id, 'cat', '/count'];
      number = Number((await containerd.ctr(exec)).stdout);
      return number > 0;
    });
    return number;
  };
  const before = await read('saved');
  const save = ['containers', 'checkpoint', '--task', '--image', '--rw', 'saved', 'example.com/saved:1'];
  expectSuccess(t, await containerd.ctr(save), 'ctr container checkpoint');
  t.equal(await containerd.status('saved'), 'RUNNING', 'it goes on');
  await containerd.remove(t, 'saved');
  expectSuccess(
    t,
    await containerd.ctr(['containers', 'restore', '--live', 'again', 'example.com/saved:1']),
    'restore',
  );
  const after = await read('again');
  t.ok(after >= before, `it goes on from where it was: ${after} after ${before}`);
  await waitFor(async () => (await read('again')) > after);
  await containerd.remove(t, 'again');
}
