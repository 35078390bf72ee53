import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandResult, RunningCommand } from './support/command.ts';
import { LAUNCHER, TestPlanner } from './support/planner.ts';
import { live, type Rig } from './support/rig.ts';
import { missingTools, slowness } from './support/surroundings.ts';
import { isRunning, waitFor } from './support/wait.ts';

const needsStrace = missingTools('strace');
/** More of one kind of call has no command. */
const MOMENTS_MAX = 60;
/** 1 s of silence, 5 s stopped, and what the command takes on a busy machine. */
const NOTICED_S = 9;

/** A command, what it is about, and what is to be seen of it in the end. */
interface Case {
  readonly name: string;
  readonly changesState?: true;
  /** What there is before, without a planner's doing. Returns what the command is to be told. */
  readonly before: (rig: Rig, id: string) => Promise<void>;
  readonly args: (rig: Rig, id: string) => readonly string[];
  readonly after: (
    t: Test,
    rig: Rig,
    seen: { readonly id: string; readonly result: CommandResult; readonly moment: string },
  ) => Promise<void>;
}

let bundles: { readonly prints: string; readonly sleeps: string; readonly once: string };

const nothing = (): Promise<void> => Promise.resolve();

async function make(rig: Rig, id: string, bundle: string, ...steps: readonly string[]): Promise<void> {
  for (const args of [['create', '--bundle', bundle, id], ...steps.map((step) => [step, id])]) {
    const { code, stderr } = await rig.tsrun(args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  }
}

function isGone(t: Test, rig: Rig, id: string, moment: string): void {
  const left = rig.leftovers().filter((line) => line.includes(id));
  if (left.length > 0) t.fail(`${moment}: something is left`, { left });
}

/** Compares at once: a thousand assertions that hold are a thousand lines. */
function same(t: Test, moment: string, found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) t.strictSame(found, wanted, moment);
}

const CASES: readonly Case[] = [
  {
    name: 'run',
    before: nothing,
    args: (_rig, id) => ['run', '--bundle', bundles.once, id],
    after(t, rig, { id, result: { code, stdout, stderr }, moment }) {
      same(
        t,
        moment,
        { code, stdout, stderr, times: readFileSync(onceFile(rig), 'utf8') },
        { code: 3, stdout: 'hi\n', stderr: '', times: 'x' },
      );
      writeFileSync(onceFile(rig), '');
      isGone(t, rig, id, moment);
      return nothing();
    },
  },
  {
    name: 'exec',
    before: (rig, id) => make(rig, id, bundles.sleeps, 'start'),
    args: (_rig, id) => ['exec', id, 'sh', '-c', 'echo hi; exit 3'],
    after(t, _rig, { result: { code, stdout, stderr }, moment }) {
      same(t, moment, { code, stdout, stderr }, { code: 3, stdout: 'hi\n', stderr: '' });
      return nothing();
    },
  },
  {
    name: 'create',
    changesState: true,
    before: nothing,
    args: (_rig, id) => ['create', '--bundle', bundles.prints, id],
    async after(t, rig, { id, result: { code, stderr }, moment }) {
      same(t, moment, { code, stderr }, { code: 0, stderr: '' });
      const started = await rig.tsrun(['start', id]);
      same(t, `${moment}: start`, { code: started.code, stderr: started.stderr }, { code: 0, stderr: '' });
      await rig.waitForStatus(id, 'stopped');
    },
  },
  {
    name: 'start',
    changesState: true,
    before: (rig, id) => make(rig, id, bundles.once),
    args: (_rig, id) => ['start', id],
    // Init ends with whoever starts it, and then there is nothing to be started any more.
    async after(t, rig, { id, result: { code, stderr }, moment }) {
      const isHonest = code === 0 ? stderr === '' : /cannot start a container that has stopped/.test(stderr);
      if (!isHonest) t.fail(`${moment}: ${code}`, { stderr });
      await rig.waitForStatus(id, 'stopped');
      const times = readFileSync(onceFile(rig), 'utf8');
      if (times !== 'x' && (code === 0 || times !== '')) t.fail(moment, { times });
      writeFileSync(onceFile(rig), '');
    },
  },
  {
    name: 'delete',
    changesState: true,
    before: (rig, id) => make(rig, id, bundles.sleeps, 'start'),
    args: (_rig, id) => ['delete', '--force', id],
    after(t, rig, { id, result: { code, stderr }, moment }) {
      same(t, moment, { code, stderr }, { code: 0, stderr: '' });
      isGone(t, rig, id, moment);
      return nothing();
    },
  },
  {
    name: 'kill',
    before: (rig, id) => make(rig, id, bundles.sleeps, 'start'),
    args: (_rig, id) => ['kill', id, 'KILL'],
    async after(t, rig, { id, result: { code, stderr }, moment }) {
      same(t, moment, { code, stderr }, { code: 0, stderr: '' });
      await rig.waitForStatus(id, 'stopped');
    },
  },
  {
    name: 'state',
    before: (rig, id) => make(rig, id, bundles.sleeps),
    args: (_rig, id) => ['state', id],
    after(t, _rig, { id, result: { code, stdout, stderr }, moment }) {
      const status = code === 0 ? (JSON.parse(stdout) as { id: string; status: string }) : { id: '', status: stdout };
      same(
        t,
        moment,
        { code, stderr, id: status.id, status: status.status },
        { code: 0, stderr: '', id, status: 'created' },
      );
      return nothing();
    },
  },
];

function onceFile(rig: Rig): string {
  return rig.path('once');
}

live('a planner ends, or stands still, while it carries out a command', async (t, rig) => {
  writeFileSync(onceFile(rig), '');
  const mountOnce = { destination: '/once', type: 'bind', source: onceFile(rig), options: ['bind'] };
  bundles = {
    prints: rig.bundle({ args: ['echo', 'hi'] }),
    sleeps: rig.bundle({ args: ['sleep', '1000'] }),
    once: rig.bundle({
      args: 'echo -n x >> /once; echo hi; exit 3',
      change: (config) => config.mounts.push(mountOnce),
    }),
  };
  for (const each of CASES) {
    await t.test(`${each.name}: killed before any message that it sends`, { skip: needsStrace }, (t) =>
      sweep(t, rig, each, { call: 'sendmsg', what: 'SIGKILL' }),
    );
    if (each.changesState !== true) continue;
    await t.test(`${each.name}: killed before any change of the state`, { skip: needsStrace }, (t) =>
      sweep(t, rig, each, { call: 'mkdir,rename,unlink,rmdir', what: 'SIGKILL' }),
    );
  }
});

live('a planner that stands still', async (t, rig) => {
  const hooked = rig.bundle({
    args: ['sh', '-c', 'exit 6'],
    change(config) {
      const args = ['sh', '-c', `echo >> ${rig.path('seen')}; sleep 4`];
      config.hooks = { createContainer: [{ path: '/bin/sh', args }] };
    },
  });
  const waits = rig.bundle({ args: ['sh', '-c', 'echo hi; sleep 7; exit 3'] });
  const sleeps = rig.bundle({ args: ['sleep', '1000'] });

  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    await t.test(`${signal} while it waits for programs and a hook`, async (t) => {
      writeFileSync(rig.path('seen'), '');
      const planner = await TestPlanner.start(rig.path('planner.err'));
      const other = rig.id('sleeps');
      await make(rig, other, sleeps, 'start');
      const start = (...args: readonly string[]): RunningCommand => rig.start([LAUNCHER, '--root', rig.root, ...args]);
      const created = rig.id('created');
      const commands: Record<string, RunningCommand> = {};
      // One after the other: what a planner does for the first time takes longer than launchers wait.
      for (const [name, args] of [
        ['run', ['run', '--bundle', waits, rig.id('run')]],
        ['kept', ['run', '--keep', '--bundle', waits, rig.id('kept')]],
        ['exec', ['exec', other, 'sh', '-c', 'echo hi; sleep 7; kill -KILL $$']],
        ['create', ['create', '--bundle', hooked, created]],
        ['hooked', ['run', '--bundle', hooked, rig.id('hooked')]],
      ] as const) {
        const before = planner.report().underWay;
        commands[name] = start(...args);
        await waitFor(() => planner.report().underWay > before);
      }
      await waitFor(() => {
        const isSaid = ['run', 'kept', 'exec'].every((name) => commands[name]?.output() === 'hi\n');
        return isSaid && readFileSync(rig.path('seen'), 'utf8').length >= 2;
      });
      const report = planner.report();
      t.equal(report.underWay, 5, `all of them are served: ${JSON.stringify(report)}`);
      planner.signal(signal);
      const begin = performance.now();
      const ended = await Promise.all(
        Object.entries(commands).map(async ([name, { done }]) => {
          const { code, stdout, stderr } = await done;
          return [name, { code, stdout, stderr, seconds: (performance.now() - begin) / 1000 }] as const;
        }),
      );
      const found = Object.fromEntries(
        ended.map(([name, { code, stdout, stderr }]) => [name, { code, stdout, stderr }]),
      );
      t.strictSame(found, {
        run: { code: 3, stdout: 'hi\n', stderr: '' },
        kept: { code: 3, stdout: 'hi\n', stderr: '' },
        exec: { code: 137, stdout: 'hi\n', stderr: '' },
        create: { code: 0, stdout: '', stderr: '' },
        hooked: { code: 6, stdout: '', stderr: '' },
      });
      // The hook takes its 4 s once more.
      for (const [name, { seconds }] of ended)
        t.ok(seconds < (NOTICED_S + 5) * slowness, `${name}: ${seconds.toFixed(1)} s`);
      await waitFor(() => !isRunning(planner.pid));
      t.strictSame([(await rig.state(created)).status, (await rig.state(other)).status], ['created', 'running']);
      await planner.end('SIGKILL');
      const next = await rig.start([LAUNCHER, '--root', rig.root, 'state', other]).done;
      t.equal(next.code, 0, 'the next one does without');
      t.equal(planner.errors(), '');
    });
  }

  await t.test('before it hears of a command: nobody waits for it', async (t) => {
    const planner = await TestPlanner.start(rig.path('planner.err'));
    planner.signal('SIGSTOP');
    const cold: number[] = [];
    const stopped: number[] = [];
    for (let count = 0; count < 5; count++) {
      const begin = performance.now();
      t.equal((await rig.start([LAUNCHER, '--root', rig.root, 'state', 'nobody']).done).code, 1);
      stopped.push(performance.now() - begin);
    }
    await planner.end('SIGKILL');
    for (let count = 0; count < 5; count++) {
      const begin = performance.now();
      t.equal((await rig.start([LAUNCHER, '--root', rig.root, 'state', 'nobody']).done).code, 1);
      cold.push(performance.now() - begin);
    }
    const waited = Math.min(...stopped) - Math.min(...cold);
    t.ok(waited < 70 * slowness, `${waited.toFixed(0)} ms`);
  });
});

interface Blow {
  /** Calls of the planner, as strace names them. */
  readonly call: string;
  readonly what: 'SIGKILL' | 'SIGSTOP';
}

/** Carries out the command again and again, with a planner that meets its end one call later each time, until it gets through. */
async function sweep(t: Test, rig: Rig, { name, before, args, after }: Case, { call, what }: Blow): Promise<void> {
  let count = 0;
  let isThrough = false;
  for (let moment = 1; !isThrough && moment <= MOMENTS_MAX; moment++) {
    const id = rig.id('ends');
    await before(rig, id);
    const planner = await TestPlanner.start(rig.path('planner.err'));
    const tracer = await attach(planner.pid, [
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=${what}:when=${moment}`,
    ]);
    const result = await rig.start([LAUNCHER, '--root', rig.root, ...args(rig, id)]).done;
    isThrough = isRunning(planner.pid);
    await planner.end('SIGKILL');
    await tracer.ended;
    await after(t, rig, { id, result, moment: `${name}, killed at ${call} ${moment}` });
    await rig.tsrun(['delete', '--force', id]);
    same(t, 'what the planner says', planner.errors(), '');
    rmSync(rig.path('planner.err'));
    if (!isThrough) count += 1;
  }
  t.ok(isThrough, 'the last one got through');
  t.ok(count >= 1, 'and others did not');
  t.comment(`${count} ends`);
}

/** Has strace follow a process; what is returned is done when both have ended. */
async function attach(pid: number, options: readonly string[]): Promise<{ readonly ended: Promise<unknown> }> {
  const strace = spawn('strace', ['-f', '-o', '/dev/null', '-p', `${pid}`, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((resolve) => strace.once('exit', resolve));
  await new Promise<void>((resolve) => {
    strace.stderr.on('data', (bytes: Buffer) => {
      if (bytes.includes('attached')) resolve();
    });
  });
  await waitFor(() => !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
  return { ended };
}
