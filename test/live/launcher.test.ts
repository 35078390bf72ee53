import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { withoutPlanner } from './support/planner.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';

const EXECUTABLE = path.resolve('dist/tsrun');
const NODE = [process.execPath, path.resolve('dist/bin/main.js')];

live('the launcher in front of the engine', async (t, rig) => {
  await t.test('no variable of the environment changes what the engine does', (t) => variables(t, rig));
  await t.test('hooks get the environment as it is, and no descriptor of tsrun', (t) => hooks(t, rig));
  for (const [name, command] of [
    ['the executable', [EXECUTABLE]],
    ['the command on Node', NODE],
  ] as const) {
    await t.test(`${name}: programs and hooks have the caller's limit of open files`, (t) => limits(t, rig, command));
    await t.test(`${name}: works in a directory that was deleted`, (t) => deleted(t, rig, command));
    await t.test(`${name}: what is not UTF-8 is not another path`, (t) => otherBytes(t, rig, command));
    await t.test(`${name}: starts where no memfd and no file of the state is executable`, (t) =>
      noexec(t, rig, command),
    );
  }
  await t.test('a script that lacks what a command line asks for leaves it to the whole one', (t) => scripts(t, rig));
  await t.test('it says in one line what the engine does not survive', (t) => refusals(t, rig));
  await t.test('it needs no thread: without a free pid there is an answer, or a message', (t) => fewPids(t, rig));
});

/** The test runner adds to the environment of what it starts, NODE_OPTIONS among others. */
function exactly(env: Readonly<Record<string, string>>): string[] {
  return ['env', '-i', ...Object.entries({ PATH: '/usr/bin:/bin', ...env }).map(([name, value]) => `${name}=${value}`)];
}

/** The words of other commands stand where they are none; what the launcher brought is still there for the second script. */
async function scripts(t: Test, rig: Rig): Promise<void> {
  const root = rig.fresh('delete');
  const log = rig.fresh('log');
  const from = ['--root', root, '--log', log];
  const failed = await rig.start([EXECUTABLE, ...from, 'list', '--bogus', 'state']).done;
  t.equal(failed.code, 1, 'list, with the name of another command behind it');
  t.equal(failed.stdout, '');
  t.equal(failed.stderr, 'unknown option "--bogus" of "list"\n', 'said once');
  const help = await rig.start([EXECUTABLE, ...from, 'state', '--help']).done;
  t.match(help.stdout, /^tsrun state ID\n/, 'a help text');
  const program = ['sh', '-c', 'cd "$1" && rmdir "$1" && shift && exec "$@"', 'sh'];
  const gone = rig.fresh('gone');
  mkdirSync(gone);
  const spec = await rig.start([...program, gone, EXECUTABLE, 'spec', '--bundle', 'create']).done;
  t.equal(spec.code, 1);
  t.match(spec.stderr, /find the working directory/, 'in a directory that was deleted');
  const environment = exactly({ XDG_RUNTIME_DIR: 'delete/\u{e9}' });
  const list = await rig.start([...environment, EXECUTABLE, '--log-format', 'json', 'list', '-q', 'start']).done;
  t.equal(list.code, 1, 'with the environment of the caller');
}

/** Each of these alone made the executable do something else. */
async function variables(t: Test, rig: Rig): Promise<void> {
  const mark = rig.fresh('mark');
  const evil = rig.fresh('evil.js');
  writeFileSync(evil, `require("fs").writeFileSync(${JSON.stringify(mark)}, "")`);
  const plain = await rig.start([EXECUTABLE, '--version']).done;
  for (const [name, value] of [
    ['BUN_BE_BUN', '1'],
    ['BUN_OPTIONS', `--preload=${evil}`],
    ['BUN_INSPECT', 'ws://localhost:0/'],
    ['BUN_JSC_useJIT', 'nonsense'],
    ['BUN_JSC_dumpOptions', '3'],
    ['NODE_OPTIONS', `--require=${evil}`],
    ['LD_PRELOAD', '/nonexistent.so'],
    ['LD_DEBUG', 'all'],
    ['TSRUN_LAUNCHED', 'd'],
  ] as const) {
    const { code, stdout, stderr } = await rig.start([...exactly({ [name]: value }), EXECUTABLE, '--version']).done;
    t.strictSame({ code, stdout, stderr }, { code: 0, stdout: plain.stdout, stderr: '' }, name);
  }
  t.notOk(existsSync(mark), 'no code of the caller has run');
}

async function hooks(t: Test, rig: Rig): Promise<void> {
  const file = rig.fresh('hook');
  const script = `cat /proc/self/environ > ${file}; ls -l /proc/self/fd > ${file}.fds`;
  const bundle = rig.bundle({
    args: 'ls -l /proc/self/fd; cat /proc/self/environ',
    change: (config) => {
      config.hooks = { poststart: [{ path: '/bin/sh', args: ['sh', '-c', script] }] };
    },
  });
  const env = { BUN_OPTIONS: '--x', BUN_BE_BUN: '1', BUN_JSC_useJIT: '1', NODE_OPTIONS: '--y', A: 'ä=\n', EMPTY: '' };
  const command = [EXECUTABLE, '--root', rig.root, 'run', '--bundle', bundle, rig.id('hooks')];
  const result = await rig.start([...exactly(env), ...command]).done;
  expectSuccess(t, result);
  const entries = readFileSync(file, 'utf8').split('\0');
  for (const [name, value] of Object.entries(env)) t.ok(entries.includes(`${name}=${value}`), name);
  t.notMatch(entries.join('\n'), /TSRUN_LAUNCHED|numberOfGCMarkers/, 'nothing of the launcher');
  t.notMatch(readFileSync(`${file}.fds`, 'utf8'), /memfd| [4-9] ->/, 'a hook has none of its descriptors');
  t.notMatch(result.stdout, /memfd|TSRUN|BUN/, 'nor has the program, or its environment');
}

async function limits(t: Test, rig: Rig, command: readonly string[]): Promise<void> {
  const file = rig.fresh('limit');
  const show = 'ulimit -Sn; ulimit -Hn';
  const bundle = rig.bundle({
    args: `${show}; exec sleep 1000`,
    change: (config) => {
      delete config.process.rlimits;
      const hook = { path: '/bin/sh', args: ['sh', '-c', `{ ${show}; } >> ${file}`] };
      config.hooks = { createRuntime: [hook], poststart: [hook], poststop: [hook] };
    },
  });
  const id = rig.id('limit');
  const hard = spawnSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout;
  const limited = (...args: readonly string[]): ReturnType<Rig['tsrun']> =>
    // The shell stays: plain Node asks its parent.
    rig.start(['/bin/sh', '-c', 'ulimit -Sn 1021; "$@"; exit $?', 'sh', ...command, '--root', rig.root, ...args]).done;
  const run = await limited('run', '--detach', '--bundle', bundle, id);
  expectSuccess(t, run, 'run');
  const exec = await limited('exec', id, 'sh', '-c', show);
  expectSuccess(t, exec, 'exec');
  t.equal(exec.stdout, `1021\n${hard}`, 'exec');
  t.equal(run.readOutput(), `1021\n${hard}`, 'run');
  expectSuccess(t, await limited('delete', '--force', id), 'delete');
  t.equal(readFileSync(file, 'utf8'), `1021\n${hard}`.repeat(3), 'createRuntime, poststart and poststop');
}

async function deleted(t: Test, rig: Rig, command: readonly string[]): Promise<void> {
  const bundle = rig.bundle({ args: ['echo', 'ran'] });
  const inDeleted = (...args: readonly string[]): ReturnType<Rig['tsrun']> => {
    const gone = rig.fresh('gone');
    mkdirSync(gone);
    return rig.start(['/bin/sh', '-c', `rmdir ${gone} && exec "$@"`, 'sh', ...exactly({}), ...command, ...args], {
      cwd: gone,
    }).done;
  };
  const run = await inDeleted('--root', rig.root, 'run', '--bundle', bundle, rig.id('gone'));
  expectSuccess(t, run, 'run');
  t.equal(run.stdout, 'ran\n');
  expectSuccess(t, await inDeleted('--root', rig.root, 'list'), 'list');
  const relative = [
    ['--root', rig.root, 'run', rig.id('gone')],
    ['--root', rig.root, 'run', '--bundle', 'b', rig.id('gone')],
    ['--root', 'state', 'list'],
  ];
  for (const args of relative)
    expectFailure(t, await inDeleted(...args), {
      message: /find the working directory: no such file or directory: ENOENT/,
    });
}

async function otherBytes(t: Test, rig: Rig, command: readonly string[]): Promise<void> {
  // What the engine makes of the byte ff is the name of another directory, which is there.
  const twin = path.join(rig.directory, 'bytes-\uFFFD');
  mkdirSync(twin, { recursive: true });
  const directory = `$(printf '${rig.directory}/bytes-\\377')`;
  const shell = (script: string, ...args: readonly string[]): ReturnType<Rig['tsrun']> =>
    rig.start(['/bin/sh', '-c', `mkdir -p "${directory}"; ${script}`, 'sh', ...command, ...args]).done;
  const message = { message: /wanted UTF-8, found other bytes/ };
  expectFailure(t, await shell(`"$@" --root "${directory}" list`), message);
  expectFailure(t, await shell(`"$@" list --format="${directory}"`), message);
  const inside = `cd "${directory}" && exec "$@"`;
  const working = { message: /find the working directory, whose path is not UTF-8: .*: EILSEQ/ };
  expectFailure(t, await shell(inside, '--root', 'state', 'list'), working);
  expectFailure(t, await shell(inside, '--root', rig.root, 'run', rig.id('bytes')), working);
  expectSuccess(t, await shell(inside, '--root', rig.root, 'list'), 'what needs no working directory');
  const link = rig.fresh('link');
  const linked = `ln -s "${directory}" ${link}; exec "$@"`;
  const run = await shell(linked, '--root', rig.root, 'run', '--bundle', link, rig.id('bytes'));
  expectFailure(t, run, { message: /open bundle .*: EILSEQ/ });
  mkdirSync(path.join(twin, 'state'), { recursive: true });
  expectSuccess(t, await shell('exec "$@"', '--root', path.join(twin, 'state'), 'list'), 'a name with U+FFFD');
  t.strictSame(
    readdirSync(twin).filter((name) => name !== 'state'),
    [],
    'nothing came to the other directory',
  );
}

/** vm.memfd_noexec is a sysctl of the pid namespace. */
async function noexec(t: Test, rig: Rig, command: readonly string[]): Promise<void> {
  if (!existsSync('/proc/sys/vm/memfd_noexec')) {
    t.pass('this kernel has no vm.memfd_noexec');
    return;
  }
  const root = rig.fresh('noexec');
  mkdirSync(root);
  const script = `mount -t tmpfs -o noexec,nosuid,nodev tmpfs ${root} && echo 2 > /proc/sys/vm/memfd_noexec && "$@"`;
  const under = ['unshare', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c', script, 'sh'];
  const bundle = rig.bundle({ args: ['echo', 'ran'] });
  const result = await rig.start([...under, ...command, '--root', root, 'run', '--bundle', bundle, rig.id('noexec')])
    .done;
  expectSuccess(t, result);
  t.equal(result.stdout, 'ran\n');
}

async function refusals(t: Test, rig: Rig): Promise<void> {
  const oneLine = async (argv: readonly string[], message: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await rig.start(argv).done;
    t.strictSame({ code, stdout, lines: stderr.split('\n').length }, { code: 1, stdout: '', lines: 2 }, stderr);
    t.match(stderr, message);
  };
  const withoutProc = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /proc && exec "$@"', 'sh'];
  await oneLine([...withoutProc, EXECUTABLE, 'list'], /^tsrun: read "\/proc\/self\/maps", .*: ENOENT\n$/);
  const alone = rig.fresh('alone');
  mkdirSync(alone);
  cpSync(EXECUTABLE, path.join(alone, 'tsrun'));
  await oneLine(
    [...withoutPlanner(), path.join(alone, 'tsrun'), 'list'],
    /^tsrun: execute ".*alone.*tsrun-cold", .*: ENOENT\n$/,
  );
  const link = rig.fresh('link');
  symlinkSync(EXECUTABLE, link);
  expectSuccess(t, await rig.start([link, '--root', rig.root, 'list']).done, 'behind a symlink');
}

async function fewPids(t: Test, rig: Rig): Promise<void> {
  const hierarchy = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((directory) =>
    readFileSync('/proc/mounts', 'utf8').includes(` ${directory} cgroup`),
  );
  if (hierarchy === undefined) {
    t.pass('there is no cgroup file system');
    return;
  }
  const group = path.join(hierarchy, `${rig.prefix}-pids`);
  mkdirSync(group);
  if (!existsSync(path.join(group, 'pids.max'))) {
    t.pass('there is no pids controller');
    return;
  }
  for (const limit of [1, 2, 3, 6]) {
    const script = `echo ${limit} > ${group}/pids.max && echo $$ > ${group}/cgroup.procs && exec "$@"`;
    const limited = (...args: readonly string[]): ReturnType<Rig['tsrun']> =>
      rig.start(['/bin/sh', '-c', script, 'sh', EXECUTABLE, '--root', rig.root, ...args]).done;
    expectSuccess(t, await limited('list'), `list with ${limit} pids`);
    t.match(await limited('--version'), { code: 0, stdout: /^bun: /m, stderr: '' });
    if (limit > 1) continue;
    const create = await limited('create', '--bundle', rig.bundle(), rig.id('pids'));
    expectFailure(t, create, { message: /create failed: start .*: resource temporarily unavailable: EAGAIN/ });
  }
  rmdirSync(group);
}
