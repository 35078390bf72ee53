import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { LayerChange } from '../../src/container/store/options.ts';
import type { CommandResult } from './support/command.ts';
import { digestTree, setAttribute } from './support/tree-digest.ts';
import { removeCgroups } from './support/leftovers.ts';
import { makeRootfs } from './support/rootfs.ts';
import { setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, killQuietly, live, type BaseConfig, type Rig } from './support/rig.ts';
import { needsRoot, nodeScript } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

const LAYERS = '/var/lib/tsrun/overlay';

/** A rootfs with something of every kind in it. */
function fill(rootfs: string): void {
  for (const name of ['data', 'data/deep', 'replaced', 'gone', 'moved'])
    mkdirSync(path.join(rootfs, name), { recursive: true });
  for (const name of [
    'data/file',
    'data/deep/file',
    'replaced/old',
    'replaced/both',
    'gone/file',
    'moved/file',
    'old-name',
  ])
    writeFileSync(path.join(rootfs, name), `${name}\n`);
  symlinkSync('data/file', path.join(rootfs, 'link'));
  chmodSync(path.join(rootfs, 'data/file'), 0o4751);
  for (const name of ['data/file', 'data', '.']) setAttribute(path.join(rootfs, name), 'user.note', `of ${name}`);
  utimesSync(path.join(rootfs, 'data/file'), 1_000_000_000, 1_000_000_000);
  chmodSync(rootfs, 0o751);
}

/** Changes of every kind. */
const CHANGES = [
  'echo more >> /data/file',
  'chmod 600 /data/deep/file',
  'echo new > /data/new',
  'mkdir -p /added/below && echo x > /added/below/x',
  'rm /link',
  'rm -r /gone',
  'rm -r /replaced && mkdir /replaced && echo again > /replaced/both && echo x > /replaced/new',
  'mv /old-name /new-name',
  'mv /moved /moved-away',
  'touch /briefly && rm /briefly',
].join(' && ');

const CHANGED: readonly string[] = [
  'A /added',
  'A /added/below',
  'A /added/below/x',
  'C /data',
  'C /data/deep',
  'C /data/deep/file',
  'C /data/file',
  'A /data/new',
  'D /gone',
  'D /link',
  'D /moved',
  'A /moved-away',
  'A /moved-away/file',
  'A /new-name',
  'D /old-name',
  'C /replaced',
  'C /replaced/both',
  'A /replaced/new',
  'D /replaced/old',
];

function layersOf({ prefix }: Rig): string[] {
  return existsSync(LAYERS) ? readdirSync(LAYERS).filter((name) => name.startsWith(prefix)) : [];
}

async function diff(t: Test, rig: Rig, id: string): Promise<string[]> {
  const result = await rig.tsrun(['diff', id]);
  expectSuccess(t, result, 'diff');
  return result.stdout.trimEnd().split('\n').sort();
}

/** Runs a container that stays when its program has ended. */
async function runKept(
  t: Test,
  rig: Rig,
  bundle: string,
  flags: readonly string[],
): Promise<{ id: string; result: CommandResult }> {
  const id = rig.id('layer');
  const result = await rig.tsrun(['run', '--keep', ...flags, '--bundle', bundle, id]);
  expectSuccess(t, result, 'run');
  return { id, result };
}

const skip = needsRoot('it needs root');

live('run --overlay', async (t, rig) => {
  await t.test('leaves the rootfs as it was, tells what has changed, and leaves no layer', { skip }, async (t) => {
    const bundle = rig.bundle({ fill, args: CHANGES });
    const before = digestTree(path.join(bundle, 'rootfs'));
    const { id } = await runKept(t, rig, bundle, ['--overlay']);
    t.equal(digestTree(path.join(bundle, 'rootfs')), before, 'byte for byte');
    t.strictSame(await diff(t, rig, id), [...CHANGED].sort());
    const json = JSON.parse((await rig.tsrun(['diff', '--format', 'json', id])).stdout) as LayerChange[];
    t.match(
      json.find((change) => change.path === '/link'),
      { kind: 'deleted' },
    );
    t.equal(json.length, CHANGED.length);
    t.strictSame(layersOf(rig), [id]);
    expectSuccess(t, await rig.tsrun(['delete', id]));
    t.strictSame(layersOf(rig), [], 'the layer goes with the container');
    expectSuccess(t, await rig.tsrun(['run', '--overlay', '--bundle', bundle, rig.id('gone')]));
    t.strictSame(layersOf(rig), []);
    t.equal(digestTree(path.join(bundle, 'rootfs')), before);
  });

  await t.test('shows owner and mode of the rootfs, and holds a read-only root', { skip }, async (t) => {
    const owned = (rootfs: string): void => {
      fill(rootfs);
      chownSync(rootfs, 7, 8);
    };
    const output = await rig.output(t, { fill: owned, args: 'stat -c "%a %u %g" /' }, { flags: ['--overlay'] });
    t.equal(output, '751 7 8');
    const readonly = (config: BaseConfig): void => {
      config.root = { path: 'rootfs', readonly: true };
    };
    const result = await rig.run({ fill, change: readonly, args: 'echo x > /data/x' }, { flags: ['--overlay'] });
    t.match(result.stderr, /Read-only file system/);
  });

  await t.test('is the same for exec, and for a container that is created and started', async (t) => {
    const { id } = await rig.create(t, { args: 'echo made > /made && sleep 1000' }, ['--overlay']);
    expectSuccess(t, await rig.tsrun(['start', id]));
    const wait = 'while ! [ -e /made ]; do sleep 0.05; done; cat /made; echo exec > /etc/exec';
    const result = await rig.tsrun(['exec', id, 'sh', '-c', wait]);
    expectSuccess(t, result);
    t.equal(result.stdout, 'made\n');
    t.strictSame(await diff(t, rig, id), ['A /etc/exec', 'A /made', 'C /etc']);
    t.equal((await rig.state(id)).rootfs, rig.rootfs);
    await rig.delete(t, id);
    t.strictSame([layersOf(rig), existsSync(path.join(rig.rootfs, 'made'))], [[], false]);
  });

  await t.test('shares one rootfs among 50 containers', async (t) => {
    const bundle = rig.bundle({ args: 'hostname > /etc/mine && cat /etc/mine && read line' });
    const before = readdirSync(path.join(rig.rootfs, 'etc'));
    const ids = Array.from({ length: 50 }, (_, index) => rig.id(`many${index}`));
    for (let index = 0; index < ids.length; index += 5) {
      const made = ids.slice(index, index + 5).map((id) => rig.tsrun(['create', '--overlay', '--bundle', bundle, id]));
      for (const result of await Promise.all(made)) t.equal(result.code, 0, result.stderr);
    }
    t.equal(layersOf(rig).length, 50);
    for (const id of [ids[0] ?? '', ids[49] ?? '']) {
      expectSuccess(t, await rig.tsrun(['exec', id, 'sh', '-c', `echo ${id} > /etc/mine`]));
      t.strictSame(await diff(t, rig, id), ['A /etc/mine', 'C /etc']);
    }
    t.strictSame(await diff(t, rig, ids[7] ?? ''), ['']);
    t.strictSame(readdirSync(path.join(rig.rootfs, 'etc')), before);
    for (let index = 0; index < ids.length; index += 5) await rig.delete(t, ...ids.slice(index, index + 5));
    t.strictSame(layersOf(rig), []);
  });

  await t.test('keeps the layer in the directory that is named, and goes on with it', async (t) => {
    const kept = rig.fresh('kept,with:odd\\name');
    const bundle = rig.bundle({ args: 'cat /etc/note; echo again >> /etc/note' });
    for (const wanted of ['', 'again\n', 'again\nagain\n']) {
      const id = rig.id('kept');
      const result = await rig.tsrun(['run', `--overlay=${kept}`, '--bundle', bundle, id]);
      expectSuccess(t, result);
      t.equal(result.stdout, wanted);
    }
    t.strictSame(readdirSync(kept).sort(), ['upper', 'work']);
    // A name that a link could have.
    writeFileSync(path.join(kept, 'my'), 'mine\n');
    const { id } = await rig.create(t, {}, [`--overlay=${kept}`]);
    const second = await rig.tsrun(['run', `--overlay=${kept}`, '--bundle', bundle, rig.id('second')]);
    expectFailure(t, second, { message: new RegExp(`use the layer .*it is that of the container in .*${id}`) });
    await rig.delete(t, id);
    t.ok(existsSync(path.join(kept, 'upper/etc/note')));
    t.equal(readFileSync(path.join(kept, 'my'), 'utf8'), 'mine\n', 'what was there stays');
  });

  await t.test('lays lower directories between, the first on top', async (t) => {
    const [top, middle] = [rig.fresh('top,a:b\\c'), rig.fresh('middle')];
    for (const lower of [top, middle]) {
      mkdirSync(path.join(lower, 'etc'), { recursive: true });
      writeFileSync(path.join(lower, 'etc/which'), `${path.basename(lower).slice(0, 3)}\n`);
    }
    writeFileSync(path.join(middle, 'etc/middle'), 'middle\n');
    const bundle = rig.bundle({ args: 'cat /etc/which /etc/middle; rm /etc/which; echo x > /etc/middle' });
    const lowers = ['--lower', top, '--lower', middle];
    const { id, result } = await runKept(t, rig, bundle, lowers);
    t.equal(result.stdout, 'top\nmiddle\n');
    t.strictSame(await diff(t, rig, id), ['C /etc', 'C /etc/middle', 'D /etc/which']);
    await rig.delete(t, id);
    t.equal(readFileSync(path.join(top, 'etc/which'), 'utf8'), 'top\n');
    const empty = rig.fresh('empty');
    mkdirSync(path.join(empty, 'rootfs'), { recursive: true });
    const many = Array.from({ length: 94 }, (_, index) => {
      const lower = path.join(empty, `${index}`);
      mkdirSync(lower);
      writeFileSync(path.join(lower, `n${index}`), '');
      return ['--lower', lower];
    }).flat();
    const whole = rig.fresh('whole');
    makeRootfs(whole);
    mkdirSync(path.join(whole, 'var'));
    symlinkSync('/run/away', path.join(whole, 'var/log'));
    const change = (config: BaseConfig): void => {
      config.root = { path: path.join(empty, 'rootfs') };
      config.mounts.push({ destination: '/var/log', type: 'tmpfs', source: 'tmpfs', options: [] });
    };
    const output = await rig.output(
      t,
      { change, args: 'ls -d /n* | wc -l; ls -d /run/away' },
      {
        flags: [...many, '--lower', whole],
      },
    );
    t.equal(output, '94\n/run/away', 'an empty rootfs, as unpack makes it, and a link of a lower directory');
  });

  await t.test('is what an annotation asks for', async (t) => {
    const annotate = (text: string) => (config: BaseConfig) => {
      config.annotations = { 'run.tsrun.overlay': text };
    };
    const kept = rig.fresh('annotated');
    const lower = rig.fresh('lower');
    mkdirSync(lower);
    writeFileSync(path.join(lower, 'low'), 'low\n');
    const args = 'cat /low 2>/dev/null; echo x > /etc/annotated';
    await rig.output(t, { change: annotate('true'), args });
    const text = JSON.stringify({ directory: kept, lower: [lower] });
    t.equal(await rig.output(t, { change: annotate(text), args }), 'low');
    t.ok(existsSync(path.join(kept, 'upper/etc/annotated')));
    t.notOk(existsSync(path.join(rig.rootfs, 'etc/annotated')));
    const wrong = await rig.run({ change: annotate('{"upper": 1}') });
    expectFailure(t, wrong, { message: /run\.tsrun\.overlay: has \\"upper\\", wanted directory and lower/ });
  });

  await t.test('works in a user namespace of root, whose files have the owners of the rootfs', async (t) => {
    const change = (config: BaseConfig): void => {
      setUserNamespace(config);
    };
    const own = (rootfs: string): void => {
      execFileSync('chown', ['-R', '-h', '100000:100000', rootfs]);
    };
    const args = 'echo x >> /etc/passwd && rm -r /etc/group && mkdir /made && stat -c "%u %g" / /made /etc/passwd';
    const bundle = rig.bundle({ fill: own, change, args });
    const { id, result } = await runKept(t, rig, bundle, ['--overlay']);
    t.equal(result.stdout, '0 0\n0 0\n0 0\n');
    t.strictSame(await diff(t, rig, id), ['A /made', 'C /etc', 'C /etc/passwd', 'D /etc/group']);
    await rig.delete(t, id);
  });

  await t.test('is refused where it cannot be, in one line', async (t) => {
    const shared = (config: BaseConfig): void => {
      setNamespace(config, 'mount', { path: '/proc/self/ns/mnt' });
    };
    const refused = async (wanted: RegExp, flags: string[], bundle = {}): Promise<void> => {
      expectFailure(t, await rig.run(bundle, { flags }), { message: wanted });
    };
    await refused(/needs a mount namespace of the container's own/, ['--overlay'], { change: shared });
    await refused(/open lower directory .*none/, ['--lower', rig.path('none')]);
    await refused(/open lower directory .*passwd/, ['--lower', path.join(rig.rootfs, 'etc/passwd')]);
    await refused(/for the layer/, [`--overlay=${rig.path('none/below')}`]);
    await refused(/the layer .*inside.* lies in the directory/, [`--overlay=${path.join(rig.rootfs, 'tmp/inside')}`]);
    const below = rig.fresh('below');
    mkdirSync(path.join(below, 'upper'), { recursive: true });
    await refused(/lies in the layer/, [`--overlay=${below}`, '--lower', path.join(below, 'upper')]);
    t.strictSame(layersOf(rig), []);
    const { id } = await rig.create(t);
    expectFailure(t, await rig.tsrun(['diff', id]), { message: /made without a layer/ });
    await rig.delete(t, id);
  });

  await t.test('leaves nothing when it fails, is killed, or loses its record', async (t) => {
    expectFailure(t, await rig.run({ args: ['/none'] }, { flags: ['--overlay'] }), { message: /none/, code: 1 });
    t.strictSame(layersOf(rig), [], 'after a create that failed');
    const hook = rig.path('hangs');
    writeFileSync(hook, '#!/bin/sh\necho $$ > "$0.pid"\nread line < "$0.pipe"\n', { mode: 0o755 });
    execFileSync('mkfifo', [`${hook}.pipe`]);
    const hangs = (config: BaseConfig): void => {
      config.hooks = { createRuntime: [{ path: hook }] };
    };
    const id = rig.id('killed');
    const running = rig.startTsrun(['create', '--overlay', '--bundle', rig.bundle({ change: hangs }), id]);
    await waitFor(() => existsSync(`${hook}.pid`) && readFileSync(`${hook}.pid`, 'utf8').endsWith('\n'));
    t.ok(existsSync(path.join(LAYERS, id, 'work/work')), 'the layer is there');
    killQuietly(running.pid);
    await running.done;
    // Nobody ends what its runtime did not live to end.
    killQuietly(Number(readFileSync(`${hook}.pid`, 'utf8')));
    await rig.delete(t, id);
    t.strictSame(layersOf(rig), [], 'after SIGKILL');
    const damaged = await rig.create(t, {}, ['--overlay']);
    process.kill(damaged.pid, 'SIGKILL');
    await rig.waitForStatus(damaged.id, 'stopped');
    writeFileSync(path.join(rig.root, damaged.id, 'state.json'), '{');
    await rig.delete(t, damaged.id);
    t.strictSame(layersOf(rig), [], 'with a record that is damaged');
    const lost = await rig.create(t, {}, ['--overlay']);
    process.kill(lost.pid, 'SIGKILL');
    await rig.waitForStatus(lost.id, 'stopped');
    rmSync(path.join(rig.root, lost.id), { recursive: true });
    expectSuccess(t, await rig.tsrun(['run', '--overlay', '--bundle', rig.bundle(), lost.id]), 'after a restart');
    t.strictSame(layersOf(rig), []);
    // Without a record nobody knows of them.
    removeCgroups(rig.prefix);
  });

  await t.test('removes what a container has made on purpose', async (t) => {
    const secret = rig.path('secret');
    mkdirSync(secret);
    writeFileSync(path.join(secret, 'file'), 'secret\n');
    const hostile = [
      `ln -s ${secret} /etc/away`,
      `mkdir /moved-1 /closed && echo x > /moved-1/x && touch /moved-2 && chmod 000 /closed`,
      'i=0; while [ $i -lt 1200 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; cd /',
      'i=0; while [ $i -lt 3000 ]; do : > "/tmp/$i"; i=$((i+1)); done',
      `mkdir "/tmp/$(printf 'odd\\377\\nname')"`,
      'mkfifo /tmp/pipe && mknod /tmp/null c 1 3',
    ].join('\n');
    const change = (config: BaseConfig): void => {
      config.process.capabilities = {
        ...config.process.capabilities,
        effective: ['CAP_MKNOD', 'CAP_DAC_OVERRIDE'],
        permitted: ['CAP_MKNOD', 'CAP_DAC_OVERRIDE'],
        bounding: ['CAP_MKNOD', 'CAP_DAC_OVERRIDE'],
      };
      config.linux.resources = {};
    };
    const { id } = await runKept(t, rig, rig.bundle({ change, args: hostile }), ['--overlay']);
    const changes = await diff(t, rig, id);
    t.ok(
      changes.some((line) => line.includes('/d/d/d/d')),
      'however deep',
    );
    t.ok(changes.includes('A /tmp/odd\ufffd\\x0aname'), 'a line a path');
    const mounted = path.join(LAYERS, id, 'upper/closed');
    const under = [
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-ec',
      `mount --bind ${secret} ${mounted}; exec "$@"`,
      'sh',
    ];
    const script = [process.execPath, nodeScript, '--root', rig.root, 'delete', id];
    const refusedResult = await rig.start([...under, ...script]).done;
    t.match(refusedResult.stderr, /something is mounted there/);
    expectSuccess(t, await rig.tsrun(['delete', id]));
    t.strictSame([layersOf(rig), readdirSync(secret)], [[], ['file']]);
  });
});
