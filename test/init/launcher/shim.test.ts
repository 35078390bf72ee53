import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { emitShimLauncher } from '../../../src/init/launcher/shim.ts';
import type { Arch } from '../../../src/program/calls.ts';
import { DELETED, ENGINE_FILE, LAUNCHED, SHIM_FILE } from '../../../src/util/launched.ts';
import { platformOf } from '../real-init.ts';
import { BUILD } from './place.ts';

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`the launcher of a shim on ${arch} passes on what the engine answers`, { skip }, (t) => {
    const run = place(t, arch);
    const answered = run(`printf '\\000unix:///a'; echo "to stderr: $*" >&2`, ['-id', 'x', 'start']);
    t.strictSame(answered, { status: 0, stdout: 'unix:///a', stderr: 'to stderr: -id x start\n' });
    t.strictSame(run(`printf '\\001no'`), { status: 1, stdout: 'no', stderr: '' });
    t.strictSame(run(`printf '\\007'`), { status: 7, stdout: '', stderr: '' });
    t.strictSame(run('exit 0'), { status: 1, stdout: '', stderr: '' }, 'an engine that dies without an answer');
    const pieces = run(
      `printf '\\000'; for i in 1 2 3; do printf a; sleep 0.02; done; head -c 100000 /dev/zero | tr '\\000' b`,
    );
    t.ok(pieces.status === 0 && pieces.stdout === `aaa${'b'.repeat(100_000)}`, 'in pieces, and more than a page');
    t.end();
  });

  t.test(`the launcher of a shim on ${arch} ends when nobody has its output, whatever stays`, { skip }, (t) => {
    const run = place(t, arch);
    const { status, stdout } = run(`sleep 60 </dev/null >/dev/null 2>&1 & printf '\\000%s' $!`);
    t.equal(status, 0);
    t.ok(process.kill(Number(stdout), 'SIGKILL'), 'they stay');
    t.end();
  });

  t.test(`the launcher of a shim on ${arch} reads its own input, and nothing of the environment`, { skip }, (t) => {
    const run = place(t, arch);
    const { stdout } = run(`printf '\\000'; cat; env | sort | cut -d= -f1 | tr '\\n' ' '`, [], { input: 'options' });
    t.match(stdout, /^options.*\bTSRUN_LAUNCHED /);
    t.notMatch(stdout, 'OWN_VARIABLE');
    t.ok(stdout.includes(LAUNCHED.variable));
    t.end();
  });

  t.test(`the launcher of a shim on ${arch} answers delete by what a shim has left`, { skip }, (t) => {
    const run = place(t, arch);
    const bundle = path.join(t.testdirName, 'bundle');
    mkdirSync(bundle);
    const file = path.join(bundle, DELETED.file);
    const answer = (...args: readonly string[]) => run(`printf '\\000engine'`, args, { cwd: bundle }).stdout;
    t.equal(answer('-id', 'x', 'delete'), 'engine', 'without a file');
    writeFileSync(file, 'answer', { mode: 0o600 });
    t.equal(answer('-id', 'x', '-bundle', bundle, 'delete'), 'answer');
    t.equal(answer('delete', 'start'), 'engine', 'another action');
    t.equal(answer('-id', 'x', 'deleted'), 'engine');
    t.equal(answer('-id', 'x', 'delet'), 'engine');
    t.equal(answer(), 'engine', 'no argument');
    t.end();
  });

  t.test(`the launcher of a shim on ${arch} answers delete by no other file`, { skip }, (t) => {
    const run = place(t, arch);
    const bundle = path.join(t.testdirName, 'bundle');
    mkdirSync(bundle);
    const file = path.join(bundle, DELETED.file);
    const refuses = (what: string): void => {
      t.equal(run(`printf '\\000engine'`, ['-id', 'x', 'delete'], { cwd: bundle }).stdout, 'engine', what);
      rmSync(file, { recursive: true });
    };
    writeFileSync(file, '');
    refuses('an empty one');
    writeFileSync(file, 'x'.repeat(DELETED.bytesMax + 1));
    refuses('one that is too long');
    for (const mode of [0o620, 0o602]) {
      writeFileSync(file, 'x');
      chmodSync(file, mode);
      refuses('one that others can write');
    }
    writeFileSync(`${file}.there`, 'x');
    symlinkSync(`${file}.there`, file);
    refuses('a link');
    mkdirSync(file);
    refuses('a directory');
    spawnSync('mkfifo', [file]);
    refuses('a FIFO');
    if (process.geteuid?.() === 0) {
      writeFileSync(file, 'x');
      chownSync(file, 1, 1);
      refuses('one of another user');
    }
    t.end();
  });
}

/** Runs a launcher whose engine is a shell script. */
function place(t: Test, arch: Arch) {
  const { emulator } = platformOf(arch).options;
  const directory = t.testdir({});
  const launcher = path.join(directory, SHIM_FILE);
  writeFileSync(
    launcher,
    emitShimLauncher({ arch, installed: '/nonexistent/engine', build: BUILD, door: `${directory}/` }),
    { mode: 0o755 },
  );
  const engine = path.join(directory, ENGINE_FILE);
  return (script: string, args: readonly string[] = [], { input = '', cwd = '/' } = {}) => {
    writeFileSync(engine, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
    chmodSync(engine, 0o755);
    const command = [...(emulator === undefined ? [] : [emulator]), launcher, ...args];
    const { status, stdout, stderr } = spawnSync(command[0] ?? '', command.slice(1), {
      encoding: 'utf8',
      input,
      cwd,
      env: { OWN_VARIABLE: 'x' },
      maxBuffer: 1 << 22,
    });
    return { status, stdout, stderr };
  };
}
