import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { expectSuccess } from '../live/support/rig.ts';
import { raceRounds } from '../live/support/surroundings.ts';
import { waitFor } from '../live/support/wait.ts';
import { randomFrom } from '../security/mutate.ts';
import { CONTAINERD_TOOLS, SHIM_ROOT, withEachRuntime, type Containerd } from './support/containerd.ts';
import { EventWatch } from './support/event-watch.ts';
import { newerPrograms } from './support/newer-programs.ts';
import { findRemains, listRemains } from './support/remains.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines } from './support/surroundings.ts';

/** Long runs ask for rounds of something shorter. */
const ROW = Math.min(raceRounds(40), 200);
const KILLS = Math.min(raceRounds(20), 200);
const CROWD = 30;
const PATIENCE_MS = 60_000;
/** The shim and its container are over by then, where nobody kills it. */
const LATEST_MS = 500;
/** `TSRUN_FUZZ_SEED` repeats a run. */
const SEED = Number(process.env.TSRUN_FUZZ_SEED ?? Date.now() % 2 ** 31);

engines('the shim loses nothing and leaves nothing', { tools: CONTAINERD_TOOLS }, async (t, inside) => {
  await withEachRuntime(
    t,
    inside,
    async (t, containerd) => {
      // What is made once and stays, such as parents of cgroups.
      await containerd.run(['--rm'], 'first', ['true']);
      for (const [name, test] of TESTS) {
        await t.test(name, async (t) => {
          const before = await listRemains(containerd);
          await test(t, containerd);
          t.strictSame(await findRemains(containerd, before), [], 'nothing is left');
        });
      }
    },
    (inside) => listRuntimesAndShims(inside).filter(({ isShim }) => isShim === true),
  );
});

type Body = (t: Test, containerd: Containerd) => Promise<void>;

/** A body that containerd lives as long as, with its events. */
const watched =
  (body: (t: Test, containerd: Containerd, watch: EventWatch) => Promise<void>): Body =>
  async (t, containerd) => {
    const watch = await EventWatch.start(containerd);
    await body(t, containerd, watch);
    t.strictSame(await watch.untilAllEnded(), [], 'no end of a container is lost');
    await watch.stop();
  };

const TESTS: readonly (readonly [string, Body])[] = [
  [`${ROW} containers one after the other`, watched(row)],
  [`${CROWD} containers at the same time`, watched(crowd)],
  ['a shim that has served many containers of a pod', watched(longPod)],
  [`a shim that is killed, at ${KILLS} random moments`, watched(killed)],
  ['containerd is ended and killed while containers run', restarts],
  ['a shim that was killed before a container was known leaves a directory, and delete removes it', halfMade],
];

async function row(t: Test, containerd: Containerd, watch: EventWatch): Promise<void> {
  for (let count = 0; count < ROW && t.passing(); count += 1) {
    const { code, stdout, stderr } = await containerd.run(['--rm'], `row-${count}`, `echo ${count}; exit ${count}`);
    if (code !== count || stdout !== `${count}\n`) t.fail(`${count}: ${code}, ${stdout}${stderr}`);
  }
  await watch.untilAllEnded();
  const statuses = Array.from({ length: ROW }, (_, count) => watch.exits(`row-${count}`).map(({ status }) => status));
  t.strictSame(
    statuses,
    // An event leaves out what is zero.
    Array.from({ length: ROW }, (_, count) => [count === 0 ? undefined : count]),
  );
}

/** Flags for a container that waits for `open` to be there. */
async function makeGate({
  inside,
}: Containerd): Promise<{ readonly flags: string[]; readonly open: () => Promise<void> }> {
  const gate = inside.fresh('gate');
  await inside.output(['mkdir', gate]);
  return {
    flags: ['--mount', `type=bind,src=${gate},dst=/gate,options=rbind:rw`],
    open: async () => {
      await inside.output(['touch', `${gate}/open`]);
    },
  };
}

const WAIT = 'until [ -e /gate/open ]; do sleep 0.1; done';

async function crowd(t: Test, containerd: Containerd, watch: EventWatch): Promise<void> {
  const gate = await makeGate(containerd);
  const ids = Array.from({ length: CROWD }, (_, index) => `crowd-${index}`);
  const running = ids.map((id, code) =>
    containerd.run(['--rm', ...gate.flags], id, `${WAIT}; echo ${code}; exit ${code}`, { timeoutMs: PATIENCE_MS * 2 }),
  );
  const isRunning = async (): Promise<boolean> => {
    const { stdout } = await containerd.ctr(['task', 'list']);
    return stdout.split('\n').filter((line) => /^crowd-\d+ .*RUNNING/.test(line)).length === CROWD;
  };
  await waitFor(isRunning, PATIENCE_MS).catch(() => t.fail('all run at the same time'));
  const execs = ids.map((id, index) =>
    containerd.ctr(['task', 'exec', '--exec-id', 'added', id, 'sh', '-c', `exit ${index + 40}`]),
  );
  t.strictSame(
    (await Promise.all(execs)).map(({ code }) => code),
    ids.map((_, index) => index + 40),
  );
  await gate.open();
  const ended = await Promise.all(running);
  t.strictSame(
    ended.map(({ code, stdout }) => [code, stdout]),
    ids.map((_, code) => [code, `${code}\n`]),
  );
  await watch.untilAllEnded();
  t.strictSame(
    ids.map((id) => watch.exits(id).length),
    ids.map(() => 1),
  );
}

async function longPod(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const annotation = ['--annotation', 'io.kubernetes.cri.sandbox-id=long-pause'];
  await containerd.sleeper(t, 'long-pause', annotation);
  const pause = await containerd.pid('long-pause');
  const shim = (await inside.output(['sed', '-n', 's/^PPid:\\t//p', `/proc/${pause}/status`])).trim();
  const round = async (count: number): Promise<void> => {
    const id = `long-${count}`;
    const ended = await containerd.run(['--rm', ...annotation], id, `echo ${count}; exit 3`);
    t.strictSame([ended.code, ended.stdout], [3, `${count}\n`]);
    const exec = ['task', 'exec', '--exec-id', id, 'long-pause', 'sh', '-c', 'sleep 0.05; echo in; exit 4'];
    const added = await containerd.ctr(exec);
    t.strictSame([added.code, added.stdout], [4, 'in\n']);
  };
  const descriptors = async (): Promise<string> => inside.output(['sh', '-c', 'ls "/proc/$0/fd" | wc -l', shim]);
  const children = async (): Promise<string> => inside.output(['cat', `/proc/${shim}/task/${shim}/children`]);
  // What is opened once is open then.
  for (let count = 0; count < 3; count += 1) await round(count);
  const before = [await descriptors(), await children()];
  for (let count = 3; count < 20; count += 1) await round(count);
  let after: string[] = [];
  await waitFor(async () => {
    after = [await descriptors(), await children()];
    return after.join() === before.join();
  }, 20_000).catch(() => undefined);
  t.strictSame(after, before, 'it has no more descriptors and children than before');
  await containerd.remove(t, 'long-pause');
}

/**
 * Waits for the shim of a container and a while more, and kills it. A shim is found by its name and its arguments; so is the
 * process that containerd starts for it, which becomes it or waits for it.
 */
const KILLER = `
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const id = process.argv[2];
const delay = Number(process.argv[3]);
const read = (pid, name) => { try { return readFileSync('/proc/' + pid + '/' + name, 'utf8'); } catch { return ''; } };
const isShim = (pid) => {
  const words = read(pid, 'cmdline').split('\\0');
  return words[words.indexOf('-id') + 1] === id && !words.includes('delete') && /shim/.test(words.slice(0, 3).join());
};
const find = () => readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && isShim(name));
console.log('ready');
const end = Date.now() + 10000;
while (find().length === 0 && Date.now() < end);
setTimeout(() => {
  // containerd writes it when it has been answered.
  console.log(existsSync(process.argv[4] + '/shim-binary-path') ? 'after start' : 'in start');
  for (const pid of find()) {
    try { process.kill(Number(pid), 'SIGKILL'); console.log('killed ' + pid); } catch {}
  }
}, delay);
`;

async function killed(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  t.comment(`TSRUN_FUZZ_SEED=${SEED}`);
  const random = randomFrom(SEED);
  const killer = inside.fresh('killer.cjs');
  writeFileSync(killer, KILLER);
  const counts = { killed: 0, inStart: 0, tooLate: 0 };
  const bundles = `/run/containerd-${containerd.runtime.name}/io.containerd.runtime.v2.task/default`;
  for (let round = 0; round < KILLS && t.passing(); round += 1) {
    const id = `killed-${round}`;
    const delay = random() % LATEST_MS;
    const scene = random() % 3;
    const before = await listRemains(containerd);
    const killing = inside.start([process.execPath, killer, id, `${delay}`, `${bundles}/${id}`]);
    await waitFor(() => killing.output() !== '', PATIENCE_MS);
    await SCENES[scene]?.(containerd, id);
    const { stdout } = await killing.done;
    counts[!stdout.includes('killed') ? 'tooLate' : stdout.includes('in start') ? 'inStart' : 'killed'] += 1;
    // Nobody calls delete for a shim that has not answered: its socket stays until the next one of that name.
    if (stdout.includes('in start')) await inside.output(['sh', '-c', 'rm -f /run/containerd/s/*']);
    await containerd.ctr(['task', 'delete', '--force', id]);
    await waitFor(async () => {
      await containerd.ctr(['container', 'delete', id]);
      return (await containerd.output(t, ['container', 'list', '--quiet'])) === '';
    }, PATIENCE_MS).catch(() => t.fail(`round ${round}: the container can be deleted`));
    // ctr leaves those that it has made where its task is lost, whatever the shim.
    await inside.output(['sh', '-c', 'rm -rf /run/containerd/fifo/*']);
    const left = await findRemains(containerd, before);
    t.strictSame(left, [], `round ${round}: nothing is left of scene ${scene} after ${delay} ms`);
  }
  t.comment(JSON.stringify(counts));
}

/** What happens while the shim is killed. */
const SCENES: readonly ((containerd: Containerd, id: string) => Promise<void>)[] = [
  async (containerd, id) => {
    await containerd.run(['--rm'], id, 'sleep 0.3; exit 3');
  },
  async (containerd, id) => {
    await containerd.run(['--detach', '--null-io'], id, ['sleep', '1000']);
    await containerd.ctr(['task', 'exec', '--exec-id', 'added', id, 'sleep', '0.1']);
    await containerd.ctr(['task', 'pause', id]);
    await containerd.ctr(['task', 'resume', id]);
    await containerd.ctr(['task', 'kill', '--signal', 'SIGKILL', id]);
  },
  async (containerd, id) => {
    await containerd.run(['--detach', '--null-io', '--net-host'], id, 'sleep 1001 & sleep 1002');
    await containerd.ctr(['task', 'pause', id]);
  },
];

async function restarts(t: Test, containerd: Containerd): Promise<void> {
  for (const signal of ['TERM', 'KILL'] as const) {
    const gate = await makeGate(containerd);
    const ids = Array.from({ length: 6 }, (_, index) => `over-${signal}-${index}`);
    for (const [index, id] of ids.entries()) {
      const flags = ['--detach', '--null-io', ...gate.flags];
      // One of them ends while nobody is there to hear of it.
      const script = index === 0 ? 'sleep 2; exit 20' : `${WAIT}; exit ${index + 20}`;
      expectSuccess(t, await containerd.run(flags, id, script));
    }
    const [first = ''] = ids;
    const early = await containerd.pid(first);
    const isOver = async (): Promise<boolean> =>
      (await containerd.inside.run(['test', '-e', `/proc/${early}`])).code !== 0;
    await containerd.restart(t, () => waitFor(isOver, PATIENCE_MS), signal);
    const later = await EventWatch.start(containerd);
    for (const id of ids.slice(1)) t.equal(await containerd.status(id), 'RUNNING', `${id} after SIG${signal}`);
    await gate.open();
    for (const [index, id] of ids.entries()) {
      // containerd 2 removes a task that has ended while it was away.
      const isGone = index === 0 && newerPrograms !== undefined;
      await containerd.untilStatus(t, id, isGone ? '' : 'STOPPED');
      if (!isGone) t.match((await containerd.ctr(['task', 'delete', id])).stderr, `exit code ${index + 20}`);
      await containerd.output(t, ['container', 'delete', id]);
      if (index === 0) continue;
      await waitFor(() => later.exits(id).length > 0, PATIENCE_MS).catch(() => undefined);
      t.strictSame(
        later.exits(id).map(({ status }) => status),
        [index + 20],
      );
    }
    await later.stop();
  }
}

async function halfMade(t: Test, { inside, runtime }: Containerd): Promise<void> {
  const bundle = inside.fresh('bundle');
  const state = `${SHIM_ROOT}/default/half-made`;
  const record = JSON.stringify({ root: path.dirname(state), cgroupManager: 'cgroupfs' });
  await inside.output(['sh', '-c', 'mkdir -p "$0" "$1"; echo "$2" >"$0/tsrun.json"', bundle, state, record]);
  const flags = ['-namespace', 'default', '-address', '/nonexistent', '-id', 'half-made', '-bundle', bundle];
  expectSuccess(t, await inside.run([runtime.path, ...flags, 'delete'], { cwd: bundle }));
  t.not((await inside.run(['test', '-e', state])).code, 0);
  t.equal(await inside.output(['ls', bundle]), '', 'nor does it say any more that there was one');
}
