import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { removeCgroups } from './support/leftovers.ts';
import { expectSuccess, live, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';

const LAYERS = '/var/lib/tsrun/overlay';
/** What makes or removes something, or sends it to somebody who does. */
const CALLS =
  'mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,symlink,symlinkat,chmod,fchmod,chown,fchown,openat2,clone3,write,pwrite64,sendmsg';
/** Of so many steps one is tried: all of them take minutes. */
const STRIDE = process.env.TSRUN_TEST_ROUNDS === undefined ? 5 : 1;
const RANDOM = process.env.TSRUN_TEST_ROUNDS === undefined ? 15 : 100;

const skip = needsRoot('it needs root');

live('a layer outlives no SIGKILL that is cleaned up after', async (t, rig) => {
  await t.test('at any step of run', { skip: skip || missingTools('strace') }, async (t) => {
    const bundle = rig.bundle({ args: 'echo x > /made && mkdir /d && echo y > /d/y' });
    await killAtEach(t, rig, {
      kill: (id) => ['run', '--overlay', '--bundle', bundle, id],
      next: (id, index) =>
        hasState(rig, id) || index % 2 === 0 ? ['delete', '--force', id] : ['run', '--overlay', '--bundle', bundle, id],
    });
  });

  await t.test('at any step of delete', { skip: skip || missingTools('strace') }, async (t) => {
    const bundle = rig.bundle({ args: 'echo x > /made && mkdir -p /d/e && echo y > /d/e/y' });
    await killAtEach(t, rig, {
      before: (id) => ['run', '--keep', '--overlay', '--bundle', bundle, id],
      kill: (id) => ['delete', id],
      next: (id) => ['delete', '--force', id],
    });
  });

  await t.test('at any moment', { skip }, async (t) => {
    const bundle = rig.bundle({ args: 'echo x > /made' });
    const began = Date.now();
    expectSuccess(t, await rig.tsrun(['run', '--overlay', '--bundle', bundle, rig.id('whole')]));
    const wholeMs = Date.now() - began;
    for (let index = 0; index < RANDOM; index++) {
      const id = rig.id('random');
      const running = rig.startTsrun(['run', '--overlay', '--bundle', bundle, id]);
      const timer = setTimeout(() => running.child.kill('SIGKILL'), Math.random() * wholeMs);
      await running.done;
      clearTimeout(timer);
      await requireRemoved(t, rig, id, ['delete', '--force', id]);
    }
  });

  await t.test('with the root of all state gone, as after a start of the machine', { skip }, async (t) => {
    const root = rig.path('root-of-before');
    const id = rig.id('before');
    const global = ['--root', root];
    expectSuccess(t, await rig.tsrun(['run', '--keep', '--overlay', '--bundle', rig.bundle(), id], { global }));
    t.ok(readdirSync(path.join(LAYERS, id)).includes('upper'), 'the layer is there');
    rmSync(root, { recursive: true });
    expectSuccess(t, await rig.tsrun(['delete', '--force', id], { global }));
    t.notOk(existsSync(path.join(LAYERS, id)), 'it is removed');
    t.notOk(existsSync(root), 'and nothing is made for that');
    // They go with a start of the machine as well; nobody knows of them without a record.
    removeCgroups(rig.prefix);
  });
});

interface Scene {
  /** What is done first. */
  readonly before?: (id: string) => string[];
  /** What is killed. */
  readonly kill: (id: string) => string[];
  /** What leaves nothing then. */
  readonly next: (id: string, index: number) => string[];
}

/** Kills it at the first call of each kind, the second, and so on, as many as there are when nobody does. */
async function killAtEach(t: Test, rig: Rig, { before, kill, next }: Scene): Promise<void> {
  const log = rig.fresh('strace');
  const strace = (...flags: string[]): string[] => ['strace', '-o', log, ...flags];
  const prepare = async (id: string): Promise<void> => {
    if (before !== undefined) expectSuccess(t, await rig.tsrun(before(id)));
  };
  const whole = rig.id('whole');
  await prepare(whole);
  expectSuccess(t, await rig.tsrun(kill(whole), { under: strace('-e', `trace=${CALLS}`) }));
  const counts = new Map<string, number>();
  const steps = [...readFileSync(log, 'latin1').matchAll(/^(\w+)\(/gm)].map(([, call = '']) => {
    counts.set(call, (counts.get(call) ?? 0) + 1);
    return { call, when: counts.get(call) ?? 0 };
  });
  t.ok(steps.length > 20, `${steps.length} steps`);
  let killed = 0;
  for (const [index, { call, when }] of steps.entries()) {
    if (index % STRIDE !== 0) continue;
    const id = rig.id('step');
    await prepare(id);
    await rig.tsrun(kill(id), {
      under: strace('-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${when}`),
    });
    if (readFileSync(log, 'latin1').includes('killed by SIGKILL')) killed++;
    await requireRemoved(t, rig, id, next(id, index), `${call} #${when}`);
  }
  t.ok(killed > steps.length / STRIDE / 2, `it was killed ${killed} times`);
}

function hasState({ root }: Rig, id: string): boolean {
  return existsSync(path.join(root, id));
}

async function requireRemoved(t: Test, rig: Rig, id: string, next: string[], when = ''): Promise<void> {
  const result = await rig.tsrun(next);
  const left = [path.join(LAYERS, id), path.join(rig.root, id)].filter((place) => existsSync(place));
  if (result.code === 0 && left.length === 0) return;
  t.strictSame({ ...result, left }, { code: 0, left: [] }, `after SIGKILL at ${when}, and ${next.join(' ')}`);
}
