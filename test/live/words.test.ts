import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { baseConfig, expectSuccess, live, type BundleOptions, type Rig } from './support/rig.ts';
import { findTool, missingTools } from './support/surroundings.ts';
import type { CommandResult } from './support/command.ts';

/** The two runtimes, so that each situation is made with both. `runc` is undefined where it is not installed. */
interface Both {
  readonly rig: Rig;
  readonly runc: string | undefined;
  /** A container that both have. Two of one name would share a cgroup, so runc's has another. */
  readonly id?: string;
}

/** A text of a command line, or of a message, as it is with runc. */
function forRunc(text: string, id: string | undefined): string {
  const renamed = id === undefined ? text : text.replaceAll(id, `${id}-runc`);
  return renamed.replace(/\btsrun (?=create|run|will)/g, 'runc ');
}

/**
 * Runs a command line with tsrun and with runc. Both must end with the code, and say the words; where this runc says it in other
 * words, `runcSays` has them.
 */
async function both(
  t: Test,
  { rig, runc, id }: Both,
  wanted: { line: readonly string[]; code: number; says: string; runcSays?: string; cwd?: string },
): Promise<void> {
  const { line, code, says, runcSays = says, cwd } = wanted;
  const options = cwd === undefined ? {} : { cwd };
  const shown = line.join(' ').replaceAll(rig.directory, '');
  const own = await rig.tsrun(line, options);
  t.equal(own.code, code, `tsrun ${shown}: exit code`);
  t.ok(readable(own).includes(says), `tsrun ${shown}: ${says}`, { stderr: own.stderr });
  if (runc === undefined) return;
  const theirs = await rig.start(
    [runc, '--root', `${rig.root}-runc`, ...line.map((word) => forRunc(word, id))],
    options,
  ).done;
  t.equal(theirs.code, code, `runc ${shown}: exit code`);
  t.ok(readable(theirs).includes(forRunc(runcSays, id)), `runc ${shown}: ${runcSays}`, {
    stderr: theirs.stderr,
  });
}

/** The message, without the quoting of a line of text. */
function readable({ stderr, stdout }: CommandResult): string {
  return `${stdout}${stderr}`.replaceAll('\\"', '"');
}

/** Runs a command line with both, which must go well. */
async function prepare(t: Test, { rig, runc, id }: Both, line: readonly string[]): Promise<void> {
  expectSuccess(t, await rig.tsrun(line), `tsrun ${line[0] ?? ''}`);
  if (runc === undefined) return;
  expectSuccess(
    t,
    await rig.start([runc, '--root', `${rig.root}-runc`, ...line.map((word) => forRunc(word, id))]).done,
    `runc ${line[0] ?? ''}`,
  );
}

/** A bundle that runc and tsrun can both have, each with a cgroup of its own. */
function plain(rig: Rig, options: BundleOptions = {}): string {
  return rig.bundle({
    ...options,
    change: (config) => {
      delete config.linux.cgroupsPath;
      options.change?.(config);
    },
  });
}

live('the words that callers search for, beside runc', async (t, rig) => {
  const pair: Both = { rig, runc: findTool('runc') };
  const missing = missingTools('runc');
  if (missing !== false) t.comment(`only tsrun is looked at: ${missing}`);

  await t.test('containers that are not there, and ids', async (t) => {
    for (const command of ['state', 'start', 'kill', 'delete', 'pause', 'resume'])
      await both(t, pair, { line: [command, 'none'], code: 1, says: 'container does not exist' });
    const exec = { line: ['exec', 'none', 'true'], code: 255, says: 'exec failed: container does not exist' };
    await both(t, pair, exec);
    await both(t, pair, { line: ['delete', '--force', 'none'], code: 0, says: '' });
    await both(t, pair, { line: ['state', 'a/b'], code: 1, says: 'invalid container ID format' });
    await both(t, pair, { line: ['state', ''], code: 1, says: 'container id cannot be empty' });
  });

  await t.test('command lines', async (t) => {
    // A root that is given has to be there.
    mkdirSync(rig.root, { recursive: true, mode: 0o700 });
    const rows: [line: string[], code: number, says: string, runcSays?: string][] = [
      [['kill'], 1, '"kill" requires a minimum of 1 argument(s)'],
      [['kill', 'a', 'b', 'c'], 1, '"kill" requires a maximum of 2 argument(s)'],
      [['state'], 1, '"state" requires exactly 1 argument(s)'],
      [['kill', '--bogus'], 1, 'unknown option', 'flag provided but not defined'],
      [['--bogus', 'list'], 1, 'unknown option', 'flag provided but not defined'],
      [['frobnicate'], 3, 'unknown command', 'No help topic'],
      [['list', '--format', 'xml'], 1, 'invalid format option'],
      [['--log-format', 'xml', 'list'], 1, 'invalid log-format: xml'],
      [['list', '--format=json'], 0, 'null\n'],
      [['list'], 0, 'ID          PID         STATUS      BUNDLE      CREATED     OWNER\n'],
    ];
    for (const [line, code, says, runcSays = says] of rows) await both(t, pair, { line, code, says, runcSays });
    const refused = await rig.tsrun(['--root', '/', 'list']);
    t.match(refused, { code: 1, stderr: /Option --root argument should not be set to \// });
  });

  await t.test('configs', async (t) => {
    const rows: [says: string, change: (config: ReturnType<typeof baseConfig>) => void][] = [
      ['Cwd property must not be empty', (config) => (config.process.cwd = '')],
      ['Cwd must be an absolute path', (config) => (config.process.cwd = 'x')],
      ['args must not be empty', (config) => (config.process.args = [])],
      ['root must be specified', (config) => delete config.root],
      [
        'cannot allocate tty if tsrun will detach without setting console socket',
        (config) => (config.process.terminal = true),
      ],
    ];
    for (const [says, change] of rows) {
      const bundle = plain(rig, { change });
      const line = ['create', '--bundle', bundle, rig.id()];
      await both(t, pair, { line, code: 1, says });
      await both(t, pair, { line, code: 1, says: 'tsrun create failed: ' });
    }
    const line = ['create', '--console-socket', '/none', '--bundle', plain(rig), rig.id()];
    const says = 'cannot use console socket if tsrun will not detach or allocate tty';
    await both(t, pair, { line, code: 1, says });
    const empty = rig.fresh('empty');
    mkdirSync(empty);
    const run = ['run', '--bundle', empty, rig.id()];
    await both(t, pair, { line: run, code: 1, says: 'run failed: JSON specification file config.json not found' });
    writeFileSync(path.join(empty, 'config.json'), 'null');
    t.match(await rig.tsrun(run), { code: 1, stderr: /config cannot be null/ });
    await both(t, pair, { line: ['spec'], cwd: empty, code: 1, says: 'File config.json exists. Remove it first' });
    const fds = ['run', '--preserve-fds', '9', '--bundle', plain(rig), rig.id()];
    await both(t, pair, { line: fds, code: 1, says: 'unable to stat preserved-fd' });
  });

  await t.test('programs that cannot be run', async (t) => {
    const rows: [args: string[], says: string, runcSays?: string][] = [
      [['nothing'], 'exec: "nothing": executable file not found in $PATH'],
      [['/bin/nothing'], 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory'],
      [['/bin/busybox/x'], 'exec: "/bin/busybox/x": stat /bin/busybox/x: not a directory'],
      [['/bin'], 'permission denied'],
      [['/etc/passwd'], 'exec: "/etc/passwd": permission denied'],
    ];
    for (const [args, says] of rows) {
      await both(t, pair, { line: ['run', '--bundle', plain(rig, { args }), rig.id()], code: 1, says });
    }
    const directory = await rig.run({ args: ['/bin'] });
    t.ok(readable(directory).includes('exec: "/bin": is a directory: permission denied'), directory.stderr);
  });

  await t.test('the statuses of a container', async (t) => {
    const id = rig.id();
    const named: Both = { ...pair, id };
    const bundle = plain(rig, { args: ['sleep', '1000'] });
    const create = ['create', '--bundle', bundle, id];
    await prepare(t, named, create);
    try {
      await both(t, named, { line: create, code: 1, says: 'container with given ID already exists' });
      await prepare(t, named, ['start', id]);
      await both(t, named, { line: ['start', id], code: 1, says: 'cannot start an already running container' });
      const running = `cannot delete container ${id} that is not stopped: running`;
      await both(t, named, { line: ['delete', id], code: 1, says: running });
      await both(t, named, { line: ['resume', id], code: 1, says: 'container not paused' });
      for (const [args, says] of [
        [['nothing'], 'exec: "nothing": executable file not found in $PATH'],
        [['/bin/nothing'], 'stat /bin/nothing: no such file or directory'],
        [['/etc/passwd'], 'permission denied'],
      ] as const)
        await both(t, named, { line: ['exec', id, ...args], code: 255, says });
      const tty = 'exec failed: cannot allocate tty if tsrun will detach without setting console socket';
      const detached = ['exec', '--tty', '--detach', id, 'true'];
      await both(t, named, { line: detached, code: 255, says: tty.replace('exec failed: ', '') });
      await prepare(t, named, ['pause', id]);
      await both(t, named, { line: ['pause', id], code: 1, says: 'container not running' });
      t.match((await rig.tsrun(['pause', id])).stderr, /container paused/);
      const paused = 'cannot exec in a paused container (use --ignore-paused to override)';
      await both(t, named, { line: ['exec', id, 'true'], code: 255, says: paused });
      await both(t, named, { line: ['start', id], code: 1, says: 'cannot start a container in the paused state' });
      await prepare(t, named, ['resume', id]);
      await prepare(t, named, ['kill', id, 'KILL']);
      await rig.waitForStatus(id, 'stopped');
      if (pair.runc !== undefined) await waitForRunc(rig, pair.runc, `${id}-runc`);
      await both(t, named, { line: ['kill', id, '9'], code: 1, says: 'container not running' });
      await both(t, named, { line: ['kill', '--all', id, '9'], code: 0, says: '' });
      await both(t, named, { line: ['pause', id], code: 1, says: 'container not running' });
      await both(t, named, { line: ['exec', id, 'true'], code: 255, says: 'cannot exec in a stopped container' });
      await both(t, named, { line: ['start', id], code: 1, says: 'cannot start a container that has stopped' });
      t.match((await rig.tsrun(['kill', id, 'FOO'])).stderr, /unknown signal/);
    } finally {
      await prepare(t, named, ['delete', '--force', id]);
      rmSync(`${rig.root}-runc`, { recursive: true, force: true });
    }
  });
});

async function waitForRunc(rig: Rig, runc: string, id: string): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    const { stdout } = await rig.start([runc, '--root', `${rig.root}-runc`, 'state', id]).done;
    if (/"status": "stopped"/.test(stdout)) return;
    if (Date.now() > end) throw new Error(`runc: ${id} does not stop: ${stdout}`);
  }
}
