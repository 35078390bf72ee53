import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { withoutPlanner } from './support/planner.ts';
import { findTool } from './support/surroundings.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';

const EXECUTABLE = path.resolve('dist/tsrun');

live('the executable', async (t, rig) => {
  const { status, stderr } = spawnSync(process.execPath, ['packaging/executable.mjs'], { encoding: 'utf8' });
  if (!t.equal(status, 0, `it is built: ${stderr}`)) return;
  await t.test('lives through the life of a container', (t) => life(t, rig));
  await t.test('reads nothing in a working directory it does not know', (t) => strangeDirectory(t, rig));
  await t.test('gives the container no descriptor of its caller', (t) => descriptors(t, rig));
  await t.test('looks for koffi beside itself alone', (t) => withoutKoffi(t, rig));
});

function argv(rig: Rig, ...args: readonly string[]): string[] {
  return [EXECUTABLE, '--root', rig.root, ...args];
}

async function life(t: Test, rig: Rig): Promise<void> {
  const id = rig.id('exe');
  const bundle = rig.bundle({ args: ['sleep', '1000'] });
  expectSuccess(t, await rig.start(argv(rig, 'create', '--bundle', bundle, id)).done, 'create');
  expectSuccess(t, await rig.start(argv(rig, 'start', id)).done, 'start');
  t.equal((await rig.start(argv(rig, 'exec', id, 'sh', '-c', 'exit 7')).done).code, 7, 'exec');
  t.equal((await rig.state(id)).status, 'running', 'the script on Node sees the same container');
  expectSuccess(t, await rig.start(argv(rig, 'kill', id, 'KILL')).done, 'kill');
  await rig.waitForStatus(id, 'stopped');
  expectSuccess(t, await rig.start(argv(rig, 'delete', id)).done, 'delete');
  expectFailure(t, await rig.start(argv(rig, 'state', id)).done, { message: 'does not exist' });
  t.match((await rig.start(argv(rig, '--version')).done).stdout, /^bun: \d/m);
  t.match((await rig.start(argv(rig, '--help')).done).stdout, /Commands:/);
}

/** Every file that Bun or Node takes code or settings from, in the bundle that tsrun is started in. */
async function strangeDirectory(t: Test, rig: Rig): Promise<void> {
  const bundle = rig.bundle({ args: ['true'] });
  const mark = path.join(bundle, 'mark');
  const file = (name: string, text: string): void => {
    mkdirSync(path.dirname(path.join(bundle, name)), { recursive: true });
    writeFileSync(path.join(bundle, name), text);
  };
  const evil = `require("fs").writeFileSync(${JSON.stringify(mark)}, "")`;
  file('evil.js', evil);
  file('bunfig.toml', 'preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\n');
  for (const name of ['.env', '.env.local', '.env.production'])
    file(name, 'BUN_OPTIONS=--preload=./evil.js\nNODE_OPTIONS=--require=./evil.js\n');
  file('package.json', '{ "name": "x", "main": "./evil.js", "bun": { "preload": "./evil.js" } }');
  file('tsconfig.json', '{ "compilerOptions": { "paths": { "*": ["./evil.js"] } } }');
  for (const name of ['koffi', 'yargs', 'yargs-parser']) file(`node_modules/${name}/index.js`, evil);
  const id = rig.id('strange');
  const log = rig.fresh('trace');
  const strace = findTool('strace');
  const traced = strace === undefined ? [] : [strace, '-f', '-y', '-o', log, '-e', 'trace=%file'];
  const env = { BUN_CONFIG_FILE: '', XDG_CONFIG_HOME: bundle, HOME: bundle };
  expectSuccess(t, await rig.start([...traced, ...argv(rig, 'run', id)], { cwd: bundle, env }).done);
  t.notOk(existsSync(mark), 'no code of the bundle has run');
  if (strace === undefined) return;
  const named = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) =>
      /bunfig|\.env|package\.json|tsconfig|node_modules|evil/.test(line.replaceAll(path.dirname(EXECUTABLE), '')),
    );
  t.strictSame(named, [], 'it does not even look for such files');
}

async function descriptors(t: Test, rig: Rig): Promise<void> {
  const opened = Array.from({ length: 30 }, () => openSync('/etc/passwd', 'r'));
  try {
    const bundle = rig.bundle({ args: 'ls -l /proc/self/fd' });
    const run = (...flags: readonly string[]): ReturnType<Rig['tsrun']> =>
      rig.start(argv(rig, 'run', ...flags, '--bundle', bundle, rig.id('fds')), { extraFds: opened }).done;
    const plain = await run();
    expectSuccess(t, plain);
    t.notMatch(plain.stdout, /passwd/, 'none without being asked to');
    const preserved = await run('--preserve-fds', '2');
    expectSuccess(t, preserved);
    const numbers = [...preserved.stdout.matchAll(/ (\d+) -> .*passwd/g)].map(([, number]) => Number(number));
    t.strictSame(numbers.sort(), [3, 4], 'exactly those that were asked for');
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

async function withoutKoffi(t: Test, rig: Rig): Promise<void> {
  const lonely = rig.fresh('lonely');
  mkdirSync(lonely);
  for (const name of ['tsrun', 'tsrun-cold']) {
    copyFileSync(path.join(path.dirname(EXECUTABLE), name), path.join(lonely, name));
    chmodSync(path.join(lonely, name), 0o755);
  }
  const bundle = rig.bundle();
  copyFileSync('dist/koffi.node', path.join(bundle, 'koffi.node'));
  const command = [...withoutPlanner(), path.join(lonely, 'tsrun'), '--root', rig.root, 'run', rig.id('lonely')];
  const result = await rig.start(command, { cwd: bundle, env: { LD_LIBRARY_PATH: '' } }).done;
  expectFailure(t, result, { message: /lonely.*koffi\.node.*belongs beside the executable/ });
}
