import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { CompiledCommand } from '../../src/load-command.ts';

const directory = path.join(t.testdir(), 'dist/bin');
const cache = path.join(directory, `command-${process.arch}.cache`);
cpSync('dist/bin', directory, { recursive: true });
const whole = readFileSync(cache);

/** Whether V8 takes the cache as it is now. */
function isTaken(...flags: readonly string[]): boolean {
  const code = `const { script } = require(process.argv[1]).compileCommand(); console.log(script.cachedDataRejected)`;
  const { stdout } = node(...flags, '-e', code, path.join(directory, 'main.js'));
  return stdout === 'false\n';
}

function node(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: '/bin' } });
}

function version(...flags: readonly string[]): SpawnSyncReturns<string> {
  return node(...flags, path.join(directory, 'main.js'), '--version');
}

t.test('the command starts from the code that the build compiled', (t) => {
  t.ok(isTaken(), 'V8 takes the cache');
  t.match(version(), { status: 0, stdout: /^tsrun version \d/, stderr: '' });
  t.end();
});

t.test('the command starts without a cache that fits', (t) => {
  t.teardown(() => {
    writeFileSync(cache, whole);
  });
  t.notOk(isTaken('--no-opt', '--stress-lazy-source-positions'), 'flags of V8 other than those of the build');
  for (const [what, bytes] of [
    ['an empty one', Buffer.alloc(0)],
    ['half of it', whole.subarray(0, whole.length / 2)],
    ['something else', Buffer.from('x'.repeat(4096))],
    // The second word is the hash of V8's version.
    ['one of another V8', Buffer.concat([whole.subarray(0, 4), Buffer.alloc(4, 0xff), whole.subarray(8)])],
  ] as const) {
    writeFileSync(cache, bytes);
    t.notOk(isTaken(), `${what} is refused`);
    t.match(version(), { status: 0, stdout: /^tsrun version \d/, stderr: '' }, what);
  }
  rmSync(cache);
  t.match(version(), { status: 0, stdout: /^tsrun version \d/, stderr: '' }, 'none');
  t.end();
});

t.test('another architecture does not look at the cache, which V8 would take and crash with', (t) => {
  const other = process.arch === 'arm64' ? 'x64' : 'arm64';
  const code = `
    Object.defineProperty(process, 'arch', { value: '${other}' });
    console.log(require(process.argv[1]).compileCommand().script.cachedDataRejected);`;
  const { stdout, stderr } = node('-e', code, path.join(directory, 'main.js'));
  t.strictSame({ stdout, stderr }, { stdout: 'undefined\n', stderr: '' });
  t.end();
});

t.test('the cache is for the script beside it', (t) => {
  const script = path.join(directory, 'command.js');
  const text = readFileSync(script, 'utf8');
  t.teardown(() => {
    writeFileSync(script, text);
  });
  writeFileSync(script, `${text}\n`);
  t.notOk(isTaken(), 'a longer script');
  t.equal(version().status, 0);
  t.end();
});

t.test('the library is there beside the command', async (t) => {
  const library = (await import(path.resolve('dist/bin/index.mjs'))) as Record<string, unknown>;
  for (const name of ['Runtime', 'features', 'loadConfig', 'TsrunError']) t.type(library[name], 'function', name);
});

// The type is that of the module under test: a change of its interface fails the build of this file.
t.test('load-command exports what the build needs', (t) => {
  const wanted: (keyof CompiledCommand)[] = ['script', 'cacheFile', 'run'];
  const code = `console.log(Object.keys(require(process.argv[1]).compileCommand()).join())`;
  t.equal(node('-e', code, path.join(directory, 'main.js')).stdout, `${wanted.join(',')}\n`);
  t.end();
});
