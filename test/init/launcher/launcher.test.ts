import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { emitLauncher } from '../../../src/init/launcher/launcher.ts';
import type { Arch } from '../../../src/program/calls.ts';
import { ENGINE_FILE, LAUNCHED } from '../../../src/util/launched.ts';
import { platformOf } from '../real-init.ts';

/** What stands in for the engine: it says what it was given, as JSON. */
const ENGINE = `#!${process.execPath}
const fs = require('node:fs');
const digits = process.env.${LAUNCHED.variable};
const fd = [...digits].reduceRight((sum, digit) => sum * 16 + ${JSON.stringify(LAUNCHED.digits)}.indexOf(digit), 0);
const bytes = Buffer.alloc(fs.fstatSync(fd).size);
fs.readSync(fd, bytes, 0, bytes.length, 0);
let sealed;
try { fs.writeSync(fd, 'x', 0); } catch (error) { sealed = error.code; }
const { cwd, env, argv } = { cwd: process.cwd(), env: process.env, argv: process.argv.slice(2) };
console.log(JSON.stringify({ cwd, env, argv, fd, sealed, file: __filename, bytes: bytes.toString('hex') }));
`;

interface Told {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly argv: readonly string[];
  readonly fd: number;
  readonly sealed: string;
  readonly file: string;
  readonly bytes: string;
}

/** A launcher in a directory of its own, and how it is run. */
class Place {
  readonly directory: string;
  readonly launcher: string;
  readonly installed: string;
  readonly #emulator: readonly string[];

  constructor(t: Test, arch: Arch) {
    const { emulator } = platformOf(arch).options;
    this.#emulator = emulator === undefined ? [] : [emulator];
    this.directory = t.testdir({ beside: {}, installed: {} });
    this.launcher = path.join(this.directory, 'beside/tsrun');
    this.installed = path.join(this.directory, 'installed', ENGINE_FILE);
    writeFileSync(this.launcher, emitLauncher({ arch, installed: this.installed, build: 1n, socket: '/nonexistent/socket' }), { mode: 0o755 });
    writeFileSync(path.join(this.directory, 'package.json'), '{ "type": "commonjs" }');
  }

  putEngine(folder: 'beside' | 'installed' = 'beside'): string {
    const file = path.join(this.directory, folder, ENGINE_FILE);
    writeFileSync(file, ENGINE);
    chmodSync(file, 0o755);
    return file;
  }

  /** Runs it, where there is a script from that; there `"$@"` is the launcher. */
  run(
    args: readonly string[],
    { env = {}, cwd = '/', script, file = this.launcher }: RunOptions = {},
  ): SpawnSyncReturns<string> {
    const argv = [...this.#emulator, file, ...args];
    // The test runner adds to the environment of what it starts, and a shell does.
    const exact = ['/usr/bin/env', '-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
    const [command = '', ...rest] =
      script === undefined ? [...exact, ...argv] : ['/bin/sh', '-c', script, 'sh', ...argv];
    return spawnSync(command, rest, { cwd, encoding: 'utf8', maxBuffer: 1 << 24, timeout: 60_000 });
  }
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly script?: string;
  readonly file?: string;
}

function told(t: Test, { status, stdout, stderr }: SpawnSyncReturns<string>): Told & { readonly header: DataView } {
  t.equal(status, 0, `it runs: ${stderr}`);
  const all = JSON.parse(stdout === '' ? '{"bytes":""}' : stdout) as Told;
  const bytes = Uint8Array.from(Buffer.from(all.bytes.padEnd(2 * LAUNCHED.environment, '0'), 'hex'));
  return { ...all, header: new DataView(bytes.buffer) };
}

/** Its entries in an order of their own: qemu turns them round. */
function environmentOf({ bytes }: Told): string {
  return sorted(Buffer.from(bytes, 'hex').toString('utf8', LAUNCHED.environment).split('\0'));
}

function sorted(entries: readonly string[]): string {
  return [...entries].sort().join('\0');
}

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`emitLauncher() on ${arch} is small, and the same every time`, (t) => {
    const options = { arch, installed: '/usr/libexec/tsrun/tsrun-cold', build: 0xfedc_ba98_7654_3210n };
    t.ok(emitLauncher(options).length < 4096);
    t.same(emitLauncher(options), emitLauncher(options));
    t.end();
  });

  t.test(`the launcher on ${arch} hands the environment over`, { skip }, (t) => {
    const place = new Place(t, arch);
    const engine = place.putEngine();
    const env = { BUN_OPTIONS: '--x', LD_PRELOAD: '', BUN_JSC_useJIT: '1', NODE_OPTIONS: '--bad', A: 'ä=\n' };
    const result = told(t, place.run(['state', '', '--x=ä'], { env }));
    t.same(result.argv, ['state', '', '--x=ä'], 'the arguments as they are');
    t.equal(result.file, engine);
    t.match(Object.keys(result.env).sort(), ['BUN_JSC_numberOfGCMarkers', 'BUN_JSC_useJIT', LAUNCHED.variable]);
    t.equal(result.env['BUN_JSC_useJIT'], '0', 'nothing of the caller is in the environment of the engine');
    const entries = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    t.equal(environmentOf(result), sorted([...entries, '']));
    t.equal(result.sealed, 'EPERM', 'nobody can change it');
    t.ok(result.fd >= 100, 'it is above what callers preserve');
    t.equal(result.header.getBigInt64(LAUNCHED.workingDirectory, true), 0n, 'there is a working directory');
    t.equal(environmentOf(told(t, place.run([]))), '', 'no environment');
    const large = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`N${index}`, 'x'.repeat(50_000)]));
    const all = Object.entries(large).map(([name, value]) => `${name}=${value}`);
    t.ok(environmentOf(told(t, place.run([], { env: large }))) === sorted([...all, '']), 'a megabyte');
    t.end();
  });

  t.test(`the launcher on ${arch} tells of the limit and the working directory`, { skip }, (t) => {
    const place = new Place(t, arch);
    place.putEngine();
    const limited = told(t, place.run([], { script: 'ulimit -Sn 53; ulimit -Hn 1021; exec "$@"' }));
    t.equal(limited.header.getBigUint64(LAUNCHED.openFilesSoft, true), 53n);
    t.equal(limited.header.getBigUint64(LAUNCHED.openFilesHard, true), 1021n);
    t.ok(limited.fd < 53, 'a limit below the usual number does not matter');
    const gone = path.join(place.directory, 'gone');
    mkdirSync(gone);
    const deleted = told(t, place.run([], { cwd: gone, script: 'rmdir ../gone; exec "$@"' }));
    t.equal(deleted.header.getBigInt64(LAUNCHED.workingDirectory, true), -2n, 'ENOENT');
    t.equal(deleted.cwd, '/');
    t.end();
  });

  t.test(`the launcher on ${arch} finds the engine`, { skip }, (t) => {
    const place = new Place(t, arch);
    const missing = place.run([]);
    t.equal(missing.status, 1);
    const wanted = path.join(place.directory, 'beside', ENGINE_FILE);
    t.equal(missing.stderr, `tsrun: execute "${wanted}", which belongs beside the file "tsrun": ENOENT\n`);
    const installed = place.putEngine('installed');
    t.equal(told(t, place.run([])).file, installed, 'in the place that the build knows');
    const beside = place.putEngine();
    t.equal(told(t, place.run([])).file, beside, 'beside itself');
    const link = path.join(place.directory, 'runc');
    symlinkSync('beside/tsrun', link);
    t.equal(told(t, place.run([], { file: link })).file, beside, 'behind a symlink');
    t.equal(told(t, place.run([], { file: './tsrun', cwd: path.dirname(place.launcher) })).file, beside);
    chmodSync(beside, 0o644);
    t.match(place.run([]), { status: 1, stderr: /^tsrun: execute ".*tsrun-cold".*: EACCES\n$/ });
    t.end();
  });
}
