import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';
import { raceRounds } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

/** How many containers are run while others rename and mount. */
const ROUNDS = raceRounds(30);

/** As in many images, where Kubernetes mounts its secrets: every lookup of them goes through a `..`. */
function fill(rootfs: string): void {
  mkdirSync(path.join(rootfs, 'run'), { recursive: true });
  mkdirSync(path.join(rootfs, 'var'), { recursive: true });
  rmSync(path.join(rootfs, 'var/run'), { recursive: true, force: true });
  symlinkSync('../run', path.join(rootfs, 'var/run'));
}

function change(config: BaseConfig): void {
  for (const name of ['secrets/kubernetes.io/serviceaccount', 'lock', 'a/b/c', 'd']) {
    const destination = `/var/run/${name}`;
    config.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] });
  }
  config.linux.maskedPaths = ['/var/run/a/b', '/var/run/nothing', ...(config.linux.maskedPaths ?? [])];
  config.linux.readonlyPaths = ['/var/run/d', ...(config.linux.readonlyPaths ?? [])];
  config.process.cwd = '/var/run/work/here';
}

interface Disturbance {
  readonly name: string;
  /** Starts it; the answer ends it. */
  readonly start: (rig: Rig) => Promise<() => Promise<unknown>>;
}

const DISTURBANCES: readonly Disturbance[] = [
  {
    name: 'a loop that renames',
    start: async (rig) => {
      const directory = rig.fresh('renamed');
      mkdirSync(directory);
      const [first, second] = [path.join(directory, 'a'), path.join(directory, 'b')];
      for (const file of [first, second]) writeFileSync(file, '');
      const counter = new SharedArrayBuffer(4);
      const racer = new Worker(new URL('../security/racer.mjs', import.meta.url), {
        workerData: { first, second, counter },
      });
      await waitFor(() => Atomics.load(new Int32Array(counter), 0) > 0, 30_000);
      return () => racer.terminate();
    },
  },
  {
    name: 'a loop that mounts, in a mount namespace of its own',
    start: async (rig) => {
      const directory = rig.fresh('mounted');
      mkdirSync(directory);
      // It ends with the directory: the command itself has no mounts to leave behind.
      const loop = 'while [ -e "$0/go" ]; do mount -n --bind / "$0/m"; umount -n "$0/m"; done';
      mkdirSync(path.join(directory, 'm'));
      writeFileSync(path.join(directory, 'go'), '');
      const under = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', loop, directory];
      const running = rig.start(under, { timeoutMs: 3_600_000 });
      await waitFor(() => readdirSync(path.join(directory, 'm')).length === 0);
      return async () => {
        rmSync(path.join(directory, 'go'));
        await running.done;
      };
    },
  },
];

live('containers start while others rename and mount', async (t, rig) => {
  for (const { name, start } of DISTURBANCES) {
    await t.test(name, async (t) => {
      const bundle = rig.bundle({ args: 'ls -d /run/secrets/kubernetes.io/serviceaccount && pwd', fill, change });
      const end = await start(rig);
      try {
        for (let round = 0; round < ROUNDS; round++) {
          const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('race')]);
          expectSuccess(t, result, `round ${round}`);
          if (round === 0) t.equal(result.stdout, '/run/secrets/kubernetes.io/serviceaccount\n/run/work/here\n');
          if (result.code !== 0) break;
        }
      } finally {
        await end();
      }
    });
  }
});
