import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import t from 'tap';

// Stands in for every module of src/container and src/own-process, so that the command as a whole runs without a container.
const fakeOperations = `
import { TsrunError } from ${JSON.stringify(join(process.cwd(), 'src/errors.ts'))};
export const readStatus = () => { throw new TsrunError('not-found', 'container does not exist: "x"'); };
export const startContainer = () => { throw new TypeError('x is undefined'); };
export const execInContainer = () => { throw new TsrunError('status', 'cannot exec in a stopped container'); };
export const keepInheritedFromChildren = () => undefined;
export const ownRuntime = (runtime) => runtime;
export const ownForegroundRuntime = ownRuntime;
export const deleteContainer = (runtime) => { runtime.log.warning('careful'); };
export const listContainers = () => Array.from({ length: 5000 }, (_, index) => ({ id: 'container-' + index }));
// A handle that is still open must not keep the command from ending.
export const runContainer = async () => { setInterval(() => undefined, 1000); return 137; };
`;

const fakeContainers: Plugin = {
  name: 'fake containers',
  setup(context) {
    context.onResolve({ filter: /\/(container|own-process|planner)\// }, () => ({
      path: 'operations',
      namespace: 'fake',
    }));
    context.onLoad({ filter: /./, namespace: 'fake' }, () => ({ contents: fakeOperations, resolveDir: process.cwd() }));
  },
};

const directory = t.testdir();
const command = join(directory, 'main.js');

t.before(async () => {
  await build({
    entryPoints: ['src/main.ts'],
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    define: { TSRUN_BUILD: JSON.stringify({ version: '1.2.3', commit: 'abc', koffi: '3.0.0' }) },
    plugins: [fakeContainers],
  });
});

function tsrun(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [command, ...args], { encoding: 'utf8', cwd: directory, timeout: 30_000 });
}

const line = (level: string, message: string): RegExp =>
  new RegExp(`^time="\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ" level=${level} msg="${message}"\\n$`);

t.test('main prints a failure on standard error', (t) => {
  const missing = line('error', 'container does not exist: \\\\"x\\\\"');
  t.match(tsrun('state', 'x'), { status: 1, stdout: '', stderr: missing });
  t.match(tsrun('exec', 'x', 'ls'), {
    status: 255,
    stderr: line('error', 'exec failed: cannot exec in a stopped container'),
  });
  t.match(tsrun('exec'), {
    status: 1,
    stdout: '',
    stderr: line('error', '.*requires a minimum of 1 argument\\(s\\): tsrun exec .*'),
  });
  t.match(tsrun('--bogus', 'list'), {
    status: 1,
    stdout: '',
    stderr: line('error', 'unknown option .*'),
  });
  t.match(tsrun('frobnicate'), { status: 3, stderr: line('error', 'unknown command .*') });
  t.match(tsrun('--log', '/dev/null/x', 'list'), { status: 1, stderr: line('error', 'open log file .*: ENOTDIR') });
  t.end();
});

t.test('main shows the stack of a bug', (t) => {
  t.match(tsrun('start', 'x'), { status: 1, stderr: /msg="bug in tsrun: TypeError: x is undefined\\n +at / });
  t.end();
});

t.test('main writes a failure into the log file and, for people, on standard error', (t) => {
  const result = tsrun('--log', 'log.json', '--log-format', 'json', 'state', 'x');
  t.match(result, { status: 1, stdout: '', stderr: /^container does not exist: "x"\n$/ });
  const entry = JSON.parse(readFileSync(join(directory, 'log.json'), 'utf8')) as unknown;
  t.match(entry, { level: 'error', msg: 'container does not exist: "x"', time: /^\d{4}-.*Z$/, code: 'not-found' });
  t.end();
});

t.test('main keeps warnings out of a log for errors', (t) => {
  t.match(tsrun('delete', 'x'), { status: 0, stdout: '', stderr: line('warning', 'careful') });
  t.match(tsrun('--log-level', 'error', 'delete', 'x'), { status: 0, stdout: '', stderr: /^$/ });
  t.end();
});

t.test('main exits with the code of the program, whatever is still open', (t) => {
  t.match(tsrun('run', 'x'), { status: 137, stdout: '', stderr: '' });
  t.end();
});

t.test('main prints all of its output before it exits', (t) => {
  const { status, stdout } = tsrun('list', '-q');
  t.equal(status, 0);
  t.equal(stdout.split('\n').length, 5001);
  t.end();
});

t.test('main prints the version of its build', (t) => {
  t.match(tsrun('--version'), { status: 0, stdout: /^tsrun version 1\.2\.3\ncommit: abc\nspec: 1\.3\.0\n/ });
  t.match(tsrun('-v').stdout, /\nkoffi: 3\.0\.0\n$/);
  t.end();
});

t.test('main prints help', (t) => {
  t.match(tsrun(), { status: 0, stdout: /^tsrun \[global options\]/, stderr: '' });
  t.match(tsrun('kill', '--help'), { status: 0, stdout: /^tsrun kill /, stderr: '' });
  t.end();
});
