import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { waitReadable } from '../../../src/sys/events/poll.ts';
import type { OwnedFd } from '../../../src/sys/fd.ts';
import { acceptUnix, listenUnix, receiveMessage } from '../../../src/sys/socket.ts';
import { expectSuccess, type BundleOptions, type Rig } from './rig.ts';
import { slowness, testUser, tsrunFile } from './surroundings.ts';
import type { CommandResult } from './command.ts';
import { waitFor } from './wait.ts';

const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where a CRIU may be: of whoever runs the tests, of the machine, and a newer one that somebody has unpacked. */
const PLACES = [
  ...(process.env.TSRUN_TEST_CRIU === undefined ? [] : [process.env.TSRUN_TEST_CRIU]),
  ...USUAL_PATH.split(':'),
  path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'tsrun-criu'),
];

interface Found {
  readonly directory: string;
  /** Such as 3.17. */
  readonly version: string;
}

/** A CRIU that works on this kernel; or why there is none. */
function findCriu(): Found | string {
  if (testUser !== undefined) return 'CRIU needs root';
  const there = PLACES.filter((directory) => existsSync(`${directory}/criu`));
  const reasons: string[] = [];
  for (const directory of there) {
    const check = spawnSync(`${directory}/criu`, ['check'], { encoding: 'utf8' });
    const said = spawnSync(`${directory}/criu`, ['--version'], { encoding: 'utf8' }).stdout;
    const version = /Version: (\S+)/.exec(said)?.[1] ?? 'none';
    if (check.status !== 0) reasons.push(`criu ${version} finds that it does not work on this kernel`);
    // Its parasite dies of the vDSO of newer kernels, which "criu check" does not see.
    else if (version.startsWith('3.') && kernelMajorMinor() > 6.7)
      reasons.push(`criu ${version} is older than this kernel`);
    else return { directory, version };
  }
  return reasons[0] ?? 'no criu is installed';
}

function kernelMajorMinor(): number {
  const [major, minor = '0'] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.');
  return Number(major) + Number(minor) / 100 > 6.07 ? 7 : 6;
}

const found = findCriu();

/** Why nothing can be saved here; false where it can. */
export const criuReason: string | false = typeof found === 'string' ? found : false;
/** The version of the CRIU of the tests. */
export const criuVersion = typeof found === 'string' ? '' : found.version;
/** Whether CRIU finds that a feature works here, by its name for `criu check --feature`; false where it does. */
export function lacksFeature(name: string): string | false {
  const works = spawnSync(criuFile, ['check', '--feature', name]).status === 0;
  return works ? false : `criu finds no ${name} on this kernel`;
}

/** The program. */
export const criuFile = typeof found === 'string' ? '' : `${found.directory}/criu`;

/** With CRIU in it. */
export const criuEnvironment = {
  PATH: typeof found === 'string' ? USUAL_PATH : `${found.directory}:${USUAL_PATH}`,
};

/**
 * Lets traffic through a network namespace again. criu 3.17 locks one that is joined when it saves and again when it restores, and then
 * removes one of both, with every runtime.
 */
export function unlockNetwork(file: string): void {
  if (!criuVersion.startsWith('3.')) return;
  spawnSync('nsenter', [`--net=${file}`, 'iptables-restore'], { input: '*filter\nCOMMIT\n' });
}

/** A shell in front of a command that starts a container: CRIU saves none whose standard descriptors are files of the host. */
export const QUIET = ['sh', '-c', 'exec "$@" </dev/null >/dev/null 2>&1', 'sh'];

/** A program that counts as long as it lives, in its memory, and tells how far it is. */
export const COUNTING = 'i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; sleep 0.05; done';

/** The runtime is another one, which shows that a test is right. */
export const isPeer = path.basename(tsrunFile) === 'runc';

/** Saves and restores containers of a rig. */
export class Saver {
  readonly #rig: Rig;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** A container that runs, and its bundle; its rootfs is its own. */
  async start(t: Test, bundle: BundleOptions = {}): Promise<{ id: string; bundle: string }> {
    const id = this.#rig.id('saved');
    const made = this.#rig.bundle({ args: COUNTING, fill: () => undefined, ...bundle });
    const log = this.#rig.fresh('log');
    const started = await this.#rig.tsrun(['run', '--detach', '--bundle', made, id], {
      under: QUIET,
      global: ['--log', log],
    });
    expectSuccess(t, started, `run: ${existsSync(log) ? readFileSync(log, 'utf8') : ''}`);
    return { id, bundle: made };
  }

  /** What nobody has used. */
  image(): string {
    return this.#rig.fresh('image');
  }

  async checkpoint(id: string, image: string, ...flags: readonly string[]): Promise<CommandResult> {
    const args = ['checkpoint', '--image-path', image, ...flags, id];
    return this.#rig.tsrun(args, { env: criuEnvironment, timeoutMs: 60_000 });
  }

  async restore(
    { id, bundle, image }: { readonly id: string; readonly bundle: string; readonly image: string },
    ...flags: readonly string[]
  ): Promise<CommandResult> {
    const args = ['restore', '--detach', '--bundle', bundle, '--image-path', image, ...flags, id];
    return this.#rig.tsrun(args, { env: criuEnvironment, timeoutMs: 60_000 });
  }

  /** Saves a container and restores it by the same id. */
  async move(
    t: Test,
    { id, bundle }: { readonly id: string; readonly bundle: string },
    flags: { readonly both?: readonly string[]; readonly checkpoint?: readonly string[] } = {},
  ): Promise<string> {
    const { both = [], checkpoint = [] } = flags;
    const image = this.image();
    // runc makes one that root of a user namespace, who restores itself, cannot read.
    if (isPeer) mkdirSync(image);
    const saved = await this.checkpoint(id, image, ...both, ...checkpoint);
    if (saved.code !== 0)
      t.comment(readEnd(path.join(...(isPeer ? [this.#rig.root, id, 'criu.work'] : [image]), 'dump.log')));
    expectSuccess(t, saved, 'checkpoint');
    expectSuccess(t, await this.restore({ id, bundle, image }, ...both), 'restore');
    return image;
  }

  /** What a shell prints in a container. */
  async ask(t: Test, id: string, script: string): Promise<string> {
    const result = await this.#rig.tsrun(['exec', id, '/bin/sh', '-c', script]);
    expectSuccess(t, result, `exec ${script}`);
    return result.stdout.trim();
  }

  /** How far a counting program is, by a file in its container. */
  async count(t: Test, id: string, file = '/dev/shm/count'): Promise<number> {
    const { pid } = await this.#rig.state(id);
    let count = 0;
    // The shell empties the file before it writes.
    await waitFor(() => (count = readCount(`/proc/${pid}/root${file}`)) > 0);
    t.ok(count > 0, `it has counted to ${count}`);
    return count;
  }

  /** Fails unless a program counts on from where it was. */
  async expectCounting(
    t: Test,
    id: string,
    { from, file }: { readonly from: number; readonly file?: string },
  ): Promise<void> {
    const first = await this.count(t, id, file);
    t.ok(first >= from, `it goes on from where it was: ${first} after ${from}`);
    await waitFor(async () => (await this.count(t, id, file)) > first);
  }
}

/** Why what prints nothing has failed: the end of its log. */
export function readEnd(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').slice(-3000) : `no ${file}`;
}

/** 0 where there is nothing yet. */
function readCount(hostPath: string): number {
  return existsSync(hostPath) ? Number(readFileSync(hostPath, 'utf8')) : 0;
}

/** Takes the master of a console from a socket. */
export class ConsoleSocket implements Disposable {
  readonly #listener: OwnedFd;
  readonly path: string;

  constructor(socketPath: string) {
    rmSync(socketPath, { force: true });
    this.path = socketPath;
    this.#listener = listenUnix(socketPath, 'stream');
  }

  /** What was sent; the caller's. */
  async take(): Promise<OwnedFd> {
    if (!(await waitReadable(this.#listener.number, 20_000 * slowness))) throw new Error('nobody has sent a console');
    using connection = acceptUnix(this.#listener.number);
    if (connection === undefined) throw new Error('nobody has connected');
    const [master] = receiveMessage(connection.number, 4096).descriptors;
    if (master === undefined) throw new Error('no console came along');
    return master;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}
