import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { runHooks, type HookSurroundings } from '../../../src/container/hooks/runtime.ts';
import type { RuntimeOptions } from '../../../src/container/store/options.ts';
import { isAlive, identifyProcess } from '../../../src/container/store/process-identity.ts';
import { parseOpenFiles } from '../../../src/host/open-files.ts';
import type { Hook } from '../../../src/spec/generated/config.ts';
import type { State } from '../../../src/spec/generated/state.ts';
import { keepRuntime, makeDirectory } from '../rig.ts';

const state: State = {
  ociVersion: '1.3.0',
  id: 'c1',
  pid: 42,
  status: 'created',
  bundle: '/bundle',
  annotations: { key: 'ä "quoted"' },
};

/** A hook that runs a shell script; `$0` is `sh`, the arguments are `args`. */
function script(text: string, changes: Partial<Hook> = {}, ...args: string[]): Hook {
  return { path: '/bin/sh', args: ['sh', '-c', text, 'sh', ...args], ...changes };
}

function surroundings({
  directory = '/',
  ...more
}: { directory?: string } & Partial<RuntimeOptions> = {}): HookSurroundings {
  return { directory, runtime: keepRuntime({ environment: { PATH: process.env['PATH'] }, ...more }) };
}

function run(...hooks: Hook[]): Promise<void> {
  return runHooks('createRuntime', hooks, state, surroundings());
}

function outputFile(t: Test): string {
  return path.join(makeDirectory(t), 'output');
}

t.test('runHooks() runs nothing without hooks', async (t) => {
  await t.resolves(run());
  await t.resolves(runHooks('poststop', undefined, state, surroundings()));
});

t.test('runHooks() runs one after the other, in their order, and says so', async (t) => {
  const file = outputFile(t);
  const runtime = keepRuntime();
  const append = (word: string) => script('echo "$1" >> "$2"', {}, word, file);
  await runHooks('prestart', [append('one'), append('two'), append('three')], state, {
    directory: '/',
    runtime,
  });
  t.equal(readFileSync(file, 'utf8'), 'one\ntwo\nthree\n');
  t.same(
    runtime.lines,
    [0, 1, 2].map((index) => `debug: run prestart hook #${index}: "/bin/sh"`),
  );
});

t.test('runHooks() gives each hook the state on its standard input', async (t) => {
  const file = outputFile(t);
  await run(script('cat > "$1"', {}, file));
  t.same(JSON.parse(readFileSync(file, 'utf8')), state);
});

t.test('runHooks() does not mind a hook that reads nothing', async (t) => {
  const large = { ...state, annotations: { large: 'x'.repeat(1 << 20) } };
  await t.resolves(runHooks('poststart', [script('exec 0<&-; true')], large, surroundings()));
});

t.test('runHooks() passes the arguments and the environment as they are', async (t) => {
  const file = outputFile(t);
  process.env['TSRUN_TEST_OWN'] = 'own';
  t.teardown(() => {
    delete process.env['TSRUN_TEST_OWN'];
  });
  const show = 'echo "$1,$A,$CALLER,$TSRUN_TEST_OWN" >> "$2"';
  const hooks = [
    script(show, { env: ['A=1=2'] }, 'a b', file),
    script(show, {}, '', file),
    script(show, { env: [] }, '', file),
  ];
  await runHooks('createRuntime', hooks, state, surroundings({ environment: { CALLER: 'seen' } }));
  await runHooks('createRuntime', hooks.slice(1, 2), state, { directory: '/', runtime: keepRuntime() });
  t.equal(readFileSync(file, 'utf8'), 'a b,1=2,,\n,,seen,\n,,,\n,,,\n', 'nothing of the process that runs them');
});

t.test('runHooks() starts hooks in the bundle, and in the root directory where it is gone', async (t) => {
  const file = outputFile(t);
  const hook = script('pwd >> "$1"', {}, file);
  const directory = path.dirname(file);
  await runHooks('createRuntime', [hook], state, surroundings({ directory }));
  await runHooks('createRuntime', [hook], state, surroundings({ directory: `${directory}/gone` }));
  await runHooks('createRuntime', [hook], state, surroundings({ directory: file }));
  t.equal(readFileSync(file, 'utf8'), `${directory}\n/\n/\n`);
});

t.test('runHooks() has the shell run what has no interpreter, as execvp(3) does', async (t) => {
  const file = outputFile(t);
  const hook = `${file}-hook`;
  writeFileSync(hook, `echo "$1" > '${file}'`, { mode: 0o755 });
  await run({ path: hook, args: ['hook', 'given'] });
  t.equal(readFileSync(file, 'utf8'), 'given\n');
});

t.test('runHooks() gives a hook the limit of open files that it is told, and keeps its own', async (t) => {
  const file = outputFile(t);
  const limits = (): string | undefined => /^Max open files .*$/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[0];
  const before = limits();
  const { hard } = parseOpenFiles(readFileSync('/proc/self/limits', 'utf8')) ?? { hard: 0n };
  const show = script('ulimit -Sn > "$1"; ulimit -Hn >> "$1"', {}, file);
  await runHooks('poststop', [show], state, surroundings({ openFiles: { soft: 1021n, hard } }));
  t.equal(readFileSync(file, 'utf8'), `1021\n${hard}\n`);
  t.equal(limits(), before);
});

t.test('runHooks() names the program as args say', async (t) => {
  const file = outputFile(t);
  await run({ path: '/bin/sh', args: ['other', '-c', `tr "\\0" "\\n" < /proc/$$/cmdline | head -1 > ${file}`] });
  t.equal(readFileSync(file, 'utf8'), 'other\n');
});

t.test('runHooks() stops at the first hook that fails, with what it printed', async (t) => {
  const file = outputFile(t);
  await t.rejects(run(script('true'), script('echo out; echo err >&2; exit 3'), script('touch "$1"', {}, file)), {
    code: 'hook',
    message: 'error running createRuntime hook #1: exit status 3, stdout: out, stderr: err',
  });
  t.notOk(existsSync(file));
});

t.test('runHooks() says which signal killed a hook', async (t) => {
  await t.rejects(run(script('kill -TERM $$')), {
    message: 'error running createRuntime hook #0: killed by SIGTERM, stdout: , stderr: ',
  });
});

t.test('runHooks() says that a hook cannot be executed', async (t) => {
  await t.rejects(run({ path: '/nowhere/hook' }), {
    code: 'hook',
    message: 'error running createRuntime hook #0: "/nowhere/hook": no such file or directory: ENOENT',
    errno: 'ENOENT',
  });
  const file = outputFile(t);
  writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
  await t.rejects(run({ path: file }), {
    code: 'hook',
    message: /: permission denied: EACCES; wanted a file that .* chmod \+x$/,
  });
});

t.test('runHooks() keeps a bounded part of what a hook prints', async (t) => {
  try {
    await run(script('yes | head -c 10000000; exit 1'));
    t.fail('the hook fails');
  } catch (error) {
    t.ok(error instanceof Error && error.message.length < 200_000, 'the message is bounded');
  }
});

t.test('runHooks() kills a hook that takes too long, also when others keep its pipes open', async (t) => {
  const file = outputFile(t);
  const hook = script('sleep 100 & echo $$ $! > "$1"; echo started; wait', { timeout: 1 }, file);
  await t.rejects(run(hook), {
    code: 'hook',
    message: 'error running createRuntime hook #0: timed out after 1 s, stdout: started, stderr: ',
  });
  const [pid = 0, other = 0] = readFileSync(file, 'utf8').trim().split(' ').map(Number);
  // Only the hook itself is killed, as with runc.
  process.kill(other, 'SIGKILL');
  const identity = identifyProcess(pid);
  t.ok(identity === undefined || !isAlive(identity), 'the hook is dead');
});
