import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { BUSYBOX, missingTools } from '../live/support/surroundings.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

const lib = fileURLToPath(new URL('../../dist/lib/shim', import.meta.url));

/** Does what containerd does with a shim: start, Create with these mounts, Start, Wait, Delete, Shutdown. Prints the code and what failed. */
const CALLER = `
import { spawnSync } from 'node:child_process';
import { Client } from '${lib}/ttrpc/client.js';
import { decode, encode } from '${lib}/../protobuf/codec.js';
import { METHODS } from '${lib}/wire/task.js';
const { shim, bundle, rootfs } = JSON.parse(process.argv[2]);
const flags = ['-namespace', 'default', '-address', '/run/nobody.sock', '-publish-binary', '/bin/true', '-id', 'x'];
const started = spawnSync(shim, [...flags, 'start'], { cwd: bundle, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const client = await Client.connect(started.stdout.trim().replace('unix://', ''));
const call = async (method, request) => {
  const { request: asked, response } = METHODS[method];
  const payload = encode(asked, request);
  return decode(response, await client.call({ service: 'containerd.task.v2.Task', method, payload, timeoutMs: 60000 }));
};
const result = {};
try {
  await call('Create', { id: 'x', bundle, rootfs, stdout: 'file://' + bundle + '/output' });
  await call('Start', { id: 'x' });
  result.code = (await call('Wait', { id: 'x' })).exitStatus;
  await call('Delete', { id: 'x' });
} catch (error) {
  result.error = error.message;
}
await call('Shutdown', { id: 'x', now: true });
client[Symbol.dispose]();
console.log(JSON.stringify(result));
`;

interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target?: string;
  readonly options: readonly string[];
}

/** The shim with a bundle whose root file system is made of mounts. */
class Rig {
  readonly inside: Surroundings;
  readonly #shim: string;

  constructor(inside: Surroundings) {
    this.inside = inside;
    this.#shim = listRuntimesAndShims(inside).find(({ isShim }) => isShim === true)?.path ?? '';
  }

  /** A directory with busybox, as a container needs it. */
  makeBase(): string {
    const base = this.inside.fresh('base');
    for (const name of ['bin', 'data', 'dev', 'etc', 'proc', 'sys', 'tmp'])
      mkdirSync(path.join(base, name), { recursive: true });
    return base;
  }

  async run(rootfs: readonly Mount[], script: string): Promise<{ code?: number; error?: string; output: string }> {
    const { inside } = this;
    const bundle = inside.fresh('bundle');
    mkdirSync(path.join(bundle, 'rootfs'), { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      root: { path: 'rootfs' },
      process: { args: ['/bin/busybox', 'sh', '-c', script], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
      mounts: ['proc', 'tmpfs'].map((type) => ({
        type,
        source: type,
        destination: type === 'proc' ? '/proc' : '/dev',
      })),
      linux: { namespaces: ['mount', 'pid'].map((type) => ({ type })) },
    };
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    const caller = `${inside.fresh('caller')}.mjs`;
    writeFileSync(caller, CALLER);
    const asked = JSON.stringify({ shim: this.#shim, bundle, rootfs });
    const result = JSON.parse(await inside.output([process.execPath, caller, asked])) as {
      code?: number;
      error?: string;
    };
    const { stdout } = await inside.run(['cat', path.join(bundle, 'output')]);
    const mounts = await inside.run(['grep', '-c', bundle, '/proc/self/mountinfo']);
    if (mounts.stdout.trim() !== '0') throw new Error(`mounts are left: ${mounts.stdout}`);
    return { ...result, output: stdout };
  }
}

engines('mounts that a root file system is made of', { tools: [] }, async (t, inside) => {
  const rig = new Rig(inside);
  await t.test('a target is a place in the root file system', async (t) => below(t, rig));
  await t.test('links of an image lead to no other place', async (t) => links(t, rig));
  await t.test('uidmap and gidmap: the files belong to others', async (t) => mapped(t, rig));
  await t.test('loop: a file system in a file', { skip: missingTools('mkfs.ext4', 'losetup') }, async (t) =>
    loop(t, rig),
  );
});

const bind = (source: string, target?: string, ...options: string[]): Mount => ({
  type: 'bind',
  source,
  options: ['rbind', ...options],
  ...(target === undefined ? {} : { target }),
});

async function below(t: Test, rig: Rig): Promise<void> {
  const [base, volume] = [rig.makeBase(), rig.inside.fresh('volume')];
  mkdirSync(volume);
  writeFileSync(path.join(volume, 'file'), 'content\n');
  await rig.inside.output(['cp', BUSYBOX, `${base}/bin/busybox`]);
  const script = 'busybox cat /data/file; busybox touch /data/new || exit 3';
  const writable = await rig.run([bind(base), bind(volume, '/data')], script);
  t.strictSame(writable, { code: 0, output: 'content\n' });
  const sealed = await rig.run([bind(base), bind(volume, 'data', 'ro')], script);
  t.match(sealed, { code: 3, output: 'content\n' }, 'with options of its own');
  const missing = await rig.run([bind(base), bind(volume, '/missing')], script);
  t.match(missing.error, /open "\/missing": .*ENOENT/);
}

async function links(t: Test, rig: Rig): Promise<void> {
  const { inside } = rig;
  const [base, volume, outside] = [rig.makeBase(), inside.fresh('volume'), inside.fresh('outside')];
  for (const directory of [volume, outside]) mkdirSync(directory);
  writeFileSync(path.join(volume, 'file'), 'content\n');
  await inside.output(['cp', BUSYBOX, `${base}/bin/busybox`]);
  symlinkSync('../../../../../../data', path.join(base, 'up'));
  symlinkSync(outside, path.join(base, 'out'));
  symlinkSync('/proc/self/root', path.join(base, 'magic'));
  const script = `busybox cat /data/file; busybox ls ${outside}`;
  t.match(await rig.run([bind(base), bind(volume, '/up')], script), { output: 'content\n' }, 'within, however far up');
  for (const [target, error] of [
    [`/out`, 'ENOENT'],
    ['../../../..' + outside, 'ENOENT'],
    ['/magic/tmp', 'ENOENT'],
  ] as const)
    t.match((await rig.run([bind(base), bind(volume, target)], script)).error, error, target);
  mkdirSync(path.join(base, outside), { recursive: true });
  const same = await rig.run([bind(base), bind(volume, '/out')], script);
  t.match(same.output, /^file$/m, 'the place of that name in it');
  t.equal(await inside.output(['ls', outside]), '', 'and not the one outside');
}

async function loop(t: Test, rig: Rig): Promise<void> {
  const { inside } = rig;
  const [base, image] = [rig.makeBase(), inside.fresh('image')];
  await inside.output(['cp', BUSYBOX, `${base}/bin/busybox`]);
  await inside.output(['truncate', '-s', '32M', image]);
  await inside.output(['mkfs.ext4', '-q', '-F', '-d', base, image]);
  const mount = (...options: string[]): Mount => ({ type: 'ext4', source: image, options: ['loop', ...options] });
  const script = 'busybox touch /made || exit 3; busybox echo made';
  t.strictSame(await rig.run([mount()], script), { code: 0, output: 'made\n' });
  t.match(await rig.run([mount('ro')], script), { code: 3 });
  t.match((await rig.run([mount(), bind('/nonexistent', '/data')], script)).error, 'ENOENT', 'a later one fails');
  t.equal(await inside.output(['losetup', '--associated', image]), '', 'no device is left');
}

async function mapped(t: Test, rig: Rig): Promise<void> {
  const { inside } = rig;
  const [base, above, upper, work] = [
    rig.makeBase(),
    inside.fresh('above'),
    inside.fresh('upper'),
    inside.fresh('work'),
  ];
  await inside.output(['cp', BUSYBOX, `${base}/bin/busybox`]);
  for (const directory of [above, upper, work]) mkdirSync(directory);
  writeFileSync(path.join(above, 'file'), 'content\n');
  await inside.output(['chown', '5:6', path.join(above, 'file')]);
  const maps = ['uidmap=0:100000:5,5:200000:1', 'gidmap=0:300000:1000'];
  const lower = `lowerdir=${above}:${base}`;
  const layers = ['index=off', `workdir=${work}`, `upperdir=${upper}`, lower];
  const script = 'busybox stat -c "%u:%g %n" /file /bin; busybox cat /file; busybox touch /new';
  const owned = '200000:300006 /file\n100000:300000 /bin\ncontent\n';
  const overlay = await rig.run([{ type: 'overlay', source: 'overlay', options: [...maps, ...layers] }], script);
  t.strictSame(overlay, { code: 0, output: owned });
  t.equal(await inside.output(['ls', upper]), 'new\n', 'what is written lies above');
  t.equal(
    await inside.output(['stat', '-c', '%u:%g', path.join(above, 'file')]),
    '5:6\n',
    'the files stay what they are',
  );
  const bound = await rig.run(
    [bind(base), { ...bind(above, '/data'), options: ['bind', ...maps] }],
    'busybox stat -c %u:%g /data/file',
  );
  t.strictSame(bound, { code: 0, output: '200000:300006\n' });
  for (const [options, error] of [
    [['uidmap=0:1:1'], 'uidmap without gidmap'],
    [['uidmap=0:1', 'gidmap=0:1:1'], 'wanted INSIDE:OUTSIDE:COUNT'],
    [['uidmap=0:1:1,0:1:1', 'gidmap=0:1:1'], 'EINVAL'],
    [[...maps, 'workdir=/nonexistent', lower], 'ENOENT'],
  ] as const)
    t.match((await rig.run([{ type: 'overlay', source: 'overlay', options }], script)).error, error, error);
}
