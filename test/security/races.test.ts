import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import { createContainer, deleteContainer, TsrunError } from './own-caller.ts';
import { listOwnProcesses, removeCgroups } from '../live/support/leftovers.ts';
import { killQuietly, live, type Rig } from '../live/support/rig.ts';
import { findTool, raceRounds } from '../live/support/surroundings.ts';
import { waitFor } from '../live/support/wait.ts';
import { count, record } from './count.mjs';
import { createOptions, initPid, reap, remains, runtimeOf } from './in-process.ts';

const ROUNDS = raceRounds(60);
const RUNC_ROUNDS = 10;
/** The tests are not to wait long for a runc that hangs. */
const PATIENCE = { timeoutMs: 3000 };

interface Race {
  readonly name: string;
  /** Prepares the rootfs: the two paths in it that change places all the time. */
  readonly arrange: (rootfs: string, victim: string) => readonly [string, string];
  /** Of the mount; without it the container has a terminal, whose console is what changes places. */
  readonly destination?: string;
  /** The mount is a tmpfs that takes over what was there, and succeeds whatever the names lead to. */
  readonly copiesUp?: true;
}

const RACES: readonly Race[] = [
  {
    name: 'a directory of the mount target is exchanged with a symlink to the host during create (CVE-2021-30465, CVE-2024-45310)',
    arrange: (rootfs, victim) => {
      mkdirSync(path.join(rootfs, 'a/b'), { recursive: true });
      symlinkSync(victim, path.join(rootfs, 'link'));
      return [path.join(rootfs, 'a/b'), path.join(rootfs, 'link')];
    },
    destination: '/a/b/made/deep',
  },
  {
    name: 'the mount target itself is exchanged with a symlink to the host during create (CVE-2021-30465)',
    arrange: (rootfs, victim) => {
      mkdirSync(path.join(rootfs, 'target'));
      symlinkSync(victim, path.join(rootfs, 'link'));
      return [path.join(rootfs, 'target'), path.join(rootfs, 'link')];
    },
    destination: '/target',
  },
  {
    name: '`/dev/console` is exchanged with a symlink to the host while a terminal is made (CVE-2025-52565)',
    arrange: (rootfs, victim) => {
      writeFileSync(path.join(rootfs, 'dev/console'), '');
      symlinkSync(path.join(victim, 'console'), path.join(rootfs, 'link'));
      return [path.join(rootfs, 'dev/console'), path.join(rootfs, 'link')];
    },
  },
  ...['device', 'symlink', 'fifo', 'directory'].map((kind): Race => ({
    name: `a file is exchanged with a ${kind} while it is copied into a tmpfs`,
    arrange: (rootfs, victim) => {
      const file = path.join(rootfs, 'data/file');
      const other = path.join(rootfs, 'data/other');
      mkdirSync(path.join(rootfs, 'data'));
      writeFileSync(file, 'of the image'.repeat(1000));
      // No driver has this number: to open it fails.
      if (kind === 'device') execFileSync('mknod', [other, 'c', '240', '300']);
      else if (kind === 'symlink') symlinkSync(path.join(victim, 'file'), other);
      else if (kind === 'fifo') execFileSync('mkfifo', [other]);
      else mkdirSync(path.join(other, 'deep'), { recursive: true });
      return [file, other];
    },
    destination: '/data',
    copiesUp: true,
  })),
];

/** A thread that exchanges two paths as fast as the kernel lets it. */
async function startRacer(
  first: string,
  second: string,
): Promise<{ rounds: () => number; end: () => Promise<unknown> }> {
  const counter = new SharedArrayBuffer(4);
  const worker = new Worker(new URL('./racer.mjs', import.meta.url), { workerData: { first, second, counter } });
  const rounds = (): number => Atomics.load(new Int32Array(counter), 0);
  await waitFor(() => rounds() > 0, 30_000);
  return { rounds, end: () => worker.terminate() };
}

interface Racing {
  readonly bundle: string;
  readonly consoleSocket: string | undefined;
}

async function raceAgainstTsrun(t: Test, rig: Rig, { bundle, consoleSocket }: Racing): Promise<string> {
  const runtime = runtimeOf(rig);
  const nullFd = openSync('/dev/null', 'r+');
  const outcomes = { created: 0, refused: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const id = rig.id('race');
    try {
      await createContainer(runtime, {
        ...createOptions(id, bundle, nullFd),
        ...(consoleSocket === undefined ? {} : { consoleSocket }),
      });
      outcomes.created += 1;
      const pid = initPid(rig, id);
      await deleteContainer(runtime, { id, force: true });
      reap(pid);
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      outcomes.refused += 1;
    }
    const left = remains(rig, id);
    if (left.length > 0) t.fail(left.join('; '));
  }
  closeSync(nullFd);
  count('containers made', outcomes.created);
  count('attacks tried', ROUNDS);
  return `${outcomes.created} made, ${outcomes.refused} refused`;
}

/** How often it hung, such as at a FIFO that it opens; undefined where it is not installed. */
async function raceAgainstRunc(rig: Rig, { bundle, consoleSocket }: Racing): Promise<number | undefined> {
  const runc = findTool('runc');
  if (runc === undefined) return undefined;
  let hung = 0;
  for (let round = 0; round < RUNC_ROUNDS; round++) {
    const id = rig.id('runc-race');
    const global = [runc, '--root', rig.path('runc')];
    const flags = consoleSocket === undefined ? [] : ['--detach', '--console-socket', consoleSocket];
    const { timedOut } = await rig.start([...global, 'run', ...flags, '--bundle', bundle, id], PATIENCE).done;
    if (timedOut) hung += 1;
    await rig.start([...global, 'delete', '--force', id]).done;
  }
  await removeRemains(rig);
  return hung;
}

/** An init that hangs is not found by runc's own `delete`. */
async function removeRemains(rig: Rig): Promise<void> {
  await waitFor(() => {
    const pids = listOwnProcesses(rig.marks());
    pids.forEach(killQuietly);
    return pids.length === 0;
  });
  removeCgroups(rig.prefix);
}

live('a thread of the attacker changes the rootfs while a container is created', async (t, rig) => {
  for (const { name, arrange, destination, copiesUp } of RACES) {
    await t.test(name, async (t) => {
      const victim = rig.fresh('victim');
      mkdirSync(victim);
      writeFileSync(path.join(victim, 'file'), 'untouched');
      const source = rig.fresh('source');
      mkdirSync(source);
      let paths: readonly [string, string] = ['', ''];
      const bundle = rig.bundle({
        fill: (rootfs) => (paths = arrange(rootfs, victim)),
        change: (config) => {
          if (destination !== undefined && copiesUp === true)
            config.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] });
          else if (destination !== undefined)
            config.mounts.push({ destination, type: 'bind', source, options: ['bind'] });
          else {
            config.process.terminal = true;
            config.mounts = config.mounts.filter(({ destination: place }) => place !== '/dev');
          }
        },
      });
      const consoleSocket = destination === undefined ? rig.path('console.sock') : undefined;
      const server = createServer((connection) => connection.destroy());
      if (consoleSocket !== undefined) await once(server.listen(consoleSocket), 'listening');
      const racer = await startRacer(...paths);
      try {
        const outcome = await raceAgainstTsrun(t, rig, { bundle, consoleSocket });
        t.strictSame(readdirSync(victim), ['file'], 'the host is as it was');
        if (copiesUp === true) t.match(outcome, / 0 refused$/, 'nothing was opened that is no file');
        t.strictSame(rig.leftovers(), [], 'tsrun leaves nothing');
        const hung = await raceAgainstRunc(rig, { bundle, consoleSocket });
        const changed = readdirSync(victim).length > 1 ? 'succeeds: the host has changed' : 'no change seen';
        const seen = hung === undefined || hung === 0 ? changed : `${changed}, ${hung} hung`;
        const theirs = hung === undefined ? 'not installed' : `${seen} in ${RUNC_ROUNDS} rounds`;
        t.comment(`${racer.rounds()} exchanges; tsrun: ${outcome}; runc: ${theirs}`);
        record({ attack: name, tsrun: `no change in ${ROUNDS} rounds`, runc: theirs });
        t.ok(racer.rounds() > ROUNDS, 'the attacker was at work');
      } finally {
        await racer.end();
        server.close();
      }
      t.strictSame(rig.leftovers(), []);
    });
  }
});
