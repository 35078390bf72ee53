import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, live, type BaseConfig, type BundleOptions } from './support/rig.ts';

interface Case {
  readonly name: string;
  readonly bundle: BundleOptions;
  /** What the one line has to name. */
  readonly message: readonly (RegExp | string)[];
}

function changed(name: string, change: (config: BaseConfig) => void, ...message: readonly (RegExp | string)[]): Case {
  return { name, bundle: { change }, message };
}

const CASES: readonly Case[] = [
  {
    name: 'broken JSON',
    bundle: { text: (config) => JSON.stringify(config).slice(0, -20) },
    message: ['config.json', /JSON/i],
  },
  { name: 'an empty file', bundle: { text: () => '' }, message: ['config.json'] },
  { name: 'null', bundle: { text: () => 'null' }, message: ['config.json'] },
  changed('a schema error', (config) => Object.assign(config.process, { cwd: 7 }), '/process/cwd'),
  changed('a relative cwd', (config) => (config.process.cwd = 'here'), '/process/cwd'),
  changed(
    'no root',
    (config) => {
      delete config.root;
    },
    'root',
  ),
  changed('no args', (config) => (config.process.args = []), '/process/args'),
  changed(
    'five errors at once',
    (config) => {
      config.process.cwd = 'relative';
      config.process.env.push('NO_VALUE');
      config.mounts.push({ destination: '', type: 'tmpfs' });
      config.linux.namespaces?.push({ type: 'pid' });
      Object.assign(config, { hostname: 5 });
    },
    '/process/cwd',
    '/process/env/2',
    /\/mounts\/7/,
    '/linux/namespaces/5',
    '/hostname',
    '5 problems',
  ),
  changed('a missing rootfs', (config) => (config.root = { path: '/no/such/rootfs' }), '/root/path', '/no/such/rootfs'),
  changed('a rootfs that is a file', (config) => (config.root = { path: '/etc/passwd' }), '/root/path', '/etc/passwd'),
  changed(
    'an unknown namespace type',
    (config) => config.linux.namespaces?.push({ type: 'spacetime' as 'pid' }),
    '/linux/namespaces/5/type',
    'spacetime',
  ),
  changed(
    'an option that a file system does not have, in the words of the kernel',
    (config) => config.mounts.push({ destination: '/d', type: 'tmpfs', source: 'x', options: ['nosuid', 'sise=1m'] }),
    '/mounts/7',
    "the kernel says: tmpfs: Unknown parameter 'sise'",
    'nosuid,sise=1m',
  ),
  changed(
    'a layer of an overlay that is not there',
    (config) =>
      config.mounts.push({
        destination: '/d',
        type: 'overlay',
        source: 'x',
        options: ['lowerdir=/bin:/no/such/layer'],
      }),
    '/mounts/7',
    /there is no \\"\/no\/such\/layer\\" \(lowerdir\)/,
  ),
  changed(
    'a mount source that is not there',
    (config) => config.mounts.push({ destination: '/d', source: '/no/such/source', options: ['bind'] }),
    '/mounts/7',
    '/no/such/source',
  ),
  changed(
    'an unknown file system',
    (config) => config.mounts.push({ destination: '/d', type: 'nosuchfs', source: 'x' }),
    '/mounts/7',
    'nosuchfs',
    'ENODEV',
  ),
  changed(
    'an option the file system refuses',
    (config) => config.mounts.push({ destination: '/d', type: 'tmpfs', source: 'x', options: ['nosuchoption=1'] }),
    '/mounts/7',
    'EINVAL',
  ),
  changed(
    'a mount on a file',
    (config) => config.mounts.push({ destination: '/etc/passwd', type: 'tmpfs', source: 'x' }),
    '/mounts/7',
  ),
  changed(
    'a program that is missing',
    (config) => (config.process.args = ['nothing']),
    /exec: .*nothing.*executable file not found in \$PATH/,
  ),
  changed(
    'a path that is missing',
    (config) => (config.process.args = ['/bin/nothing']),
    /\/bin\/nothing.*no such file or directory/,
  ),
  changed(
    'a program that cannot be executed',
    (config) => (config.process.args = ['/etc/passwd']),
    /\/etc\/passwd.*permission denied/,
  ),
  changed('a cwd that is a file', (config) => (config.process.cwd = '/etc/passwd'), '/process/cwd', '/etc/passwd'),
  changed(
    'a NUL byte',
    (config) => config.mounts.push({ destination: '/d\0/etc', type: 'tmpfs', source: 'x' }),
    '/mounts/7/destination',
  ),
  changed(
    'a cgroup that cannot be',
    (config) => (config.linux.resources = { pids: { limit: 3 }, memory: { limit: 1 } }),
    /memory/,
  ),
  changed(
    'a hook that is not there',
    (config) => (config.hooks = { createRuntime: [{ path: '/no/such/hook' }] }),
    'createRuntime hook #0',
    '/no/such/hook',
  ),
  changed(
    'a hook that fails',
    (config) => (config.hooks = { prestart: [{ path: '/bin/sh', args: ['sh', '-c', 'echo reason >&2; exit 3'] }] }),
    'prestart hook #0',
    'exit status 3',
    'reason',
  ),
];

live('bad input is refused with one clear message and leaves nothing', async (t, rig) => {
  for (const { name, bundle, message } of CASES) {
    await t.test(name, async (t) => {
      const result = await rig.run(bundle);
      const [first = '', ...others] = message;
      expectFailure(t, result, { message: first });
      for (const other of others) t.match(result.stderr, other);
      t.strictSame(rig.leftovers(), []);
    });
  }

  await t.test('what needs a rootfs of its own', async (t) => {
    const inside =
      (name: string) =>
      (rootfs: string): void => {
        symlinkSync('/nowhere/at/all', path.join(rootfs, name));
      };
    const dangling = await rig.run({ fill: inside('cwd'), change: (config) => (config.process.cwd = '/cwd') });
    t.equal(dangling.timedOut, false);
    if (dangling.code !== 0) expectFailure(t, dangling, { message: '/process/cwd' });
    const script = await rig.run({
      args: ['/script'],
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'script'), 'no interpreter line', { mode: 0o755 });
      },
    });
    // Such a program is the image's fault: the container has started, and says so itself.
    t.match(script, {
      code: 1,
      stderr: /^exec \/script: exec format error: ENOEXEC; it is no program of Linux, and has no "#!" line\n$/,
    });
    const interpreter = await rig.run({
      args: ['/script'],
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'script'), '#!/no/such/shell\n', { mode: 0o755 });
      },
    });
    t.match(interpreter, {
      code: 1,
      stderr: /^exec \/script: no such file or directory: ENOENT; the interpreter .*\n$/,
    });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('bundles', async (t) => {
    const empty = rig.fresh('empty');
    mkdirSync(empty);
    expectFailure(t, await rig.tsrun(['run', '--bundle', empty, rig.id()]), {
      message: /config.json not found.*empty/,
    });
    expectFailure(t, await rig.tsrun(['run', '--bundle', '/no/such/bundle', rig.id()]), { message: '/no/such/bundle' });
    const bundle = rig.bundle();
    rmSync(path.join(bundle, 'config.json'));
    mkdirSync(path.join(bundle, 'config.json'));
    expectFailure(t, await rig.tsrun(['run', '--bundle', bundle, rig.id()]), { message: /config.json.*EISDIR/ });
  });

  await t.test('what a config holds does not make a message endless', async (t) => {
    const name = 'x'.repeat(480_000);
    const issues = Array.from({ length: 5000 }, (_, index) => ({ destination: '', type: `none-${index}` }));
    for (const [change, message] of [
      [
        (config: BaseConfig) => (config.process.args = [name]),
        /exec: .*x{1000}.* characters left out.*x{1000}.*: executable file not found in \$PATH/,
      ],
      [(config: BaseConfig) => void config.mounts.push(...issues), /5\d\d\d problems.*and 4\d\d\d more/],
    ] as const) {
      const result = await rig.run({ change });
      expectFailure(t, result, { message });
      t.ok(result.stderr.length < 20_000, `${result.stderr.length} characters`);
    }
  });

  await t.test('ids', async (t) => {
    const bundle = rig.bundle();
    for (const id of ['a/b', '../up', '..', '.', 'with space', 'new\nline', 'ä', 'x'.repeat(256)]) {
      const result = await rig.tsrun(['run', '--bundle', bundle, id]);
      expectFailure(t, result, { message: 'invalid container ID format' });
      for (const command of ['state', 'delete', 'kill', 'start']) {
        if (id === 'a/b') expectFailure(t, await rig.tsrun([command, id]), { message: 'invalid container ID format' });
      }
    }
    expectFailure(t, await rig.tsrun(['run', '--bundle', bundle, '']), { message: 'container id cannot be empty' });
    const { id } = await rig.create(t);
    expectFailure(t, await rig.tsrun(['run', '--bundle', bundle, id]), {
      message: 'container with given ID already exists',
    });
    t.equal((await rig.state(id)).status, 'created', 'the one that is there stays');
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a failed create leaves no pid file', async (t) => {
    const pidFile = rig.fresh('pid');
    const bundle = rig.bundle({ change: (config) => (config.process.args = ['nothing']) });
    const result = await rig.tsrun(['create', '--pid-file', pidFile, '--bundle', bundle, rig.id()]);
    expectFailure(t, result, { message: 'tsrun create failed: ' });
    t.notMatch((await import('node:fs')).readdirSync(rig.directory), [path.basename(pidFile)]);
    const unwritable = await rig.tsrun([
      'create',
      '--pid-file',
      '/no/such/directory/pid',
      '--bundle',
      rig.bundle(),
      rig.id(),
    ]);
    expectFailure(t, unwritable, { message: '/no/such/directory/pid' });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a damaged state file is named', async (t) => {
    const { id } = await rig.create(t);
    const file = path.join(rig.root, id, 'state.json');
    const { readFileSync } = await import('node:fs');
    const text = readFileSync(file, 'utf8');
    for (const damaged of ['', '{', '[]', '{"version":1}']) {
      writeFileSync(file, damaged);
      expectFailure(t, await rig.tsrun(['state', id]), { message: file });
      const list = await rig.tsrun(['list']);
      t.equal(list.code, 0, 'the others are still listed');
      t.match(list.stderr, /level=warning/);
    }
    writeFileSync(file, text);
    await rig.delete(t, id);
  });
});
