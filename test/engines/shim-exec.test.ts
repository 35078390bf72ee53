import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUSYBOX } from '../live/support/surroundings.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines } from './support/surroundings.ts';

const lib = fileURLToPath(new URL('../../dist/lib/shim', import.meta.url));

/** Adds processes to a container of a shim, and does otherwise than containerd does with them. Prints what came of each. */
const CALLER = `
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Client } from '${lib}/ttrpc/client.js';
import { decode, encode } from '${lib}/../protobuf/codec.js';
import { METHODS } from '${lib}/wire/task.js';
const { shim, bundle } = JSON.parse(process.argv[2]);
const flags = ['-namespace', 'default', '-address', '/run/nobody.sock', '-publish-binary', '/bin/true', '-id', 'x'];
const started = spawnSync(shim, [...flags, 'start'], { cwd: bundle, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const client = await Client.connect(started.stdout.trim().replace('unix://', ''));
const call = async (method, request) => {
  const { request: asked, response } = METHODS[method];
  const payload = encode(asked, { id: 'x', ...request });
  return decode(response, await client.call({ service: 'containerd.task.v2.Task', method, payload, timeoutMs: 60000 }));
};
const failure = (promise) => promise.then(() => '', ({ message }) => message);
const result = {};
await call('Create', { bundle });
await call('Start', {});
const { shimPid } = await call('Connect', {});
const children = () => readFileSync('/proc/' + shimPid + '/task/' + shimPid + '/children', 'utf8').trim().split(' ').filter(Boolean).length;
const until = async (count) => {
  for (let left = 2000; children() !== count && left > 0; left -= 1) await new Promise((resolve) => setTimeout(resolve, 5));
  return children();
};
const add = (execId, args, stdout = '') => {
  const value = Buffer.from(JSON.stringify({ args, cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } }));
  return call('Exec', { execId, stdout, spec: { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value } });
};
result.alone = await until(1);
await add('never', ['true']);
result.prepared = await until(2);
result.inside = (await call('Pids', {})).processes.length;
result.neverState = (await call('State', { execId: 'never' })).status;
result.never = (await call('Delete', { execId: 'never' })).exitStatus;
result.takenBack = await until(1);

await add('code', ['sh', '-c', 'echo out; exit 3'], 'file://' + bundle + '/output');
await until(2);
result.pid = (await call('Start', { execId: 'code' })).pid > 0;
result.code = (await call('Wait', { execId: 'code' })).exitStatus;
await call('Delete', { execId: 'code' });

await add('stopped', ['true']);
await until(2);
await call('Pause', {});
result.paused = await failure(call('Start', { execId: 'stopped' }));
await call('Resume', {});
await call('Delete', { execId: 'stopped' });

await call('Pause', {});
await add('later', ['sh', '-c', 'exit 4']);
await call('Resume', {});
await call('Start', { execId: 'later' });
result.later = (await call('Wait', { execId: 'later' })).exitStatus;
await call('Delete', { execId: 'later' });

await add('missing', ['nothing-of-this-name']);
result.missing = await failure(call('Start', { execId: 'missing' }));
await call('Delete', { execId: 'missing' });

await add('left', ['true']);
await until(2);
await call('Kill', { signal: 9 });
await call('Wait', {});
result.ended = await failure(call('Start', { execId: 'left' }));
await add('last', ['true']).catch(() => undefined);
await call('Delete', {});
result.left = children();
await call('Shutdown', { now: true });
client[Symbol.dispose]();
console.log(JSON.stringify(result));
`;

engines('processes that are added to a container of a shim', { tools: [] }, async (t, inside) => {
  const shim = listRuntimesAndShims(inside).find(({ isShim }) => isShim === true)?.path ?? '';
  const bundle = inside.fresh('bundle');
  for (const name of ['bin', 'dev', 'etc', 'proc', 'tmp'])
    mkdirSync(path.join(bundle, 'rootfs', name), { recursive: true });
  await inside.output(['cp', BUSYBOX, path.join(bundle, 'rootfs/bin/busybox')]);
  for (const name of ['sh', 'true', 'sleep'])
    await inside.output(['ln', '-s', 'busybox', `${bundle}/rootfs/bin/${name}`]);
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: { args: ['sleep', '1000'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
    mounts: [{ type: 'proc', source: 'proc', destination: '/proc' }],
    linux: { namespaces: ['mount', 'pid'].map((type) => ({ type })), cgroupsPath: '/shim-exec' },
  };
  writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
  const caller = `${inside.fresh('caller')}.mjs`;
  writeFileSync(caller, CALLER);
  const found = JSON.parse(
    await inside.output([process.execPath, caller, JSON.stringify({ shim, bundle })]),
  ) as Readonly<Record<string, unknown>>;
  const { missing, paused, ended, ...others } = found;
  t.strictSame(others, {
    alone: 1,
    // Outside: the container has no more processes than before.
    ...{ prepared: 2, inside: 1, neverState: 1, never: 255, takenBack: 1 },
    ...{ pid: true, code: 3, later: 4, left: 0 },
  });
  t.match(missing, /nothing-of-this-name.*executable file not found/);
  t.match(paused, /paused/);
  t.match(ended, /stopped/);
  t.equal((await inside.run(['cat', path.join(bundle, 'output')])).stdout, 'out\n');
});
