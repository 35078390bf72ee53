import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { emitLauncher } from '../../../src/init/launcher/launcher.ts';
import type { Arch } from '../../../src/program/calls.ts';
import { ENGINE_FILE, LAUNCHED } from '../../../src/util/launched.ts';
import { platformOf } from '../real-init.ts';

/** The build of every launcher here. */
export const BUILD = 0xfedc_ba98_7654_3210n;

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

export interface Told {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly argv: readonly string[];
  readonly fd: number;
  readonly sealed: string;
  readonly file: string;
  readonly bytes: string;
}

/** A launcher in a directory of its own, and how it is run. */
export class Place {
  readonly directory: string;
  readonly launcher: string;
  readonly installed: string;
  readonly #emulator: readonly string[];

  constructor(t: Test, arch: Arch, socket = '/nonexistent/socket') {
    const { emulator } = platformOf(arch).options;
    this.#emulator = emulator === undefined ? [] : [emulator];
    this.directory = t.testdir({ beside: {}, installed: {} });
    this.launcher = path.join(this.directory, 'beside/tsrun');
    this.installed = path.join(this.directory, 'installed', ENGINE_FILE);
    writeFileSync(this.launcher, emitLauncher({ arch, installed: this.installed, build: BUILD, socket }), {
      mode: 0o755,
    });
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
    const [command = '', ...rest] = this.#command(args, { env, script, file });
    return spawnSync(command, rest, { cwd, encoding: 'utf8', maxBuffer: 1 << 24, timeout: 60_000 });
  }

  /** The same, without waiting for it. */
  start(
    args: readonly string[],
    {
      env = {},
      cwd = '/',
      script,
      file = this.launcher,
      stdout = 'pipe',
    }: RunOptions & { stdout?: 'pipe' | number } = {},
  ): ChildProcess {
    const [command = '', ...rest] = this.#command(args, { env, script, file });
    return spawn(command, rest, { cwd, stdio: ['ignore', stdout, 'pipe'] });
  }

  /** The command as it is, in whatever environment. */
  command(args: readonly string[]): string[] {
    return [...this.#emulator, this.launcher, ...args];
  }

  #command(
    args: readonly string[],
    { env, script, file }: { env: Record<string, string>; script: string | undefined; file: string },
  ): string[] {
    const argv = [...this.#emulator, file, ...args];
    // The test runner adds to the environment of what it starts, and a shell does.
    const exact = ['/usr/bin/env', '-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
    return script === undefined ? [...exact, ...argv] : ['/bin/sh', '-c', script, 'sh', ...argv];
  }
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly script?: string;
  readonly file?: string;
}

/** How a launcher ended. */
export interface Ended {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

export function told(t: Test, { status, stdout, stderr }: Ended): Told & { readonly header: DataView } {
  t.equal(status, 0, `it runs: ${stderr}`);
  const all = JSON.parse(stdout === '' ? '{"bytes":""}' : stdout) as Told;
  const bytes = Uint8Array.from(Buffer.from(all.bytes.padEnd(2 * LAUNCHED.environment, '0'), 'hex'));
  return { ...all, header: new DataView(bytes.buffer) };
}

/** Its entries in an order of their own: qemu turns them round. */
export function environmentOf({ bytes }: Told): string {
  return sorted(Buffer.from(bytes, 'hex').toString('utf8', LAUNCHED.environment).split('\0'));
}

export function sorted(entries: readonly string[]): string {
  return [...entries].sort().join('\0');
}
