import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandResult } from './command.ts';
import { LAUNCHER, TestPlanner } from './planner.ts';
import { livePlanners, type Rig } from './rig.ts';
import { missingTools } from './surroundings.ts';
import { isRunning, waitFor } from './wait.ts';

const needsStrace = missingTools('strace');
/** More of one kind of call has no command. */
const MOMENTS_MAX = 60;
/** Each of them is tried where somebody asks for many rounds. */
const EVERY = process.env.TSRUN_TEST_ROUNDS === undefined ? 3 : 1;
/** So often a launcher may not have waited. */
const LATE_MAX = 5;

/** A caller that has a signal blocked, as the program has it then, whoever starts it. */
const CALLER = ['env', '--block-signal=USR2'];
const SAY = 'echo hi; grep SigBlk /proc/self/status';
const OUTPUT = 'hi\nSigBlk:\t0000000000000800\n';

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

/** Makes a container by these commands behind create. */
export async function make(rig: Rig, id: string, bundle: string, ...steps: readonly string[]): Promise<void> {
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
        { code: 3, stdout: OUTPUT, stderr: '', times: 'x' },
      );
      writeFileSync(onceFile(rig), '');
      isGone(t, rig, id, moment);
      return nothing();
    },
  },
  {
    name: 'exec',
    before: (rig, id) => make(rig, id, bundles.sleeps, 'start'),
    args: (_rig, id) => ['exec', id, 'sh', '-c', `${SAY}; exit 3`],
    after(t, _rig, { result: { code, stdout, stderr }, moment }) {
      same(t, moment, { code, stdout, stderr }, { code: 3, stdout: OUTPUT, stderr: '' });
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
    before: (rig, id) => make(rig, id, bundles.once),
    args: (_rig, id) => ['start', id],
    async after(t, rig, { id, result: { code, stderr }, moment }) {
      await rig.waitForStatus(id, 'stopped');
      const times = readFileSync(onceFile(rig), 'utf8');
      same(t, moment, { code, stderr, times }, { code: 0, stderr: '', times: 'x' });
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

/** Has planners end before each of their messages, with the commands of these cases. */
export function testEnds(...names: readonly string[]): void {
  livePlanners(`a planner ends while it carries out ${names.join(', ')}`, (t, rig) => testCases(t, rig, names));
}

async function testCases(t: Test, rig: Rig, names: readonly string[]): Promise<void> {
  writeFileSync(onceFile(rig), '');
  const mountOnce = { destination: '/once', type: 'bind', source: onceFile(rig), options: ['bind'] };
  bundles = {
    prints: rig.bundle({ args: ['echo', 'hi'] }),
    sleeps: rig.bundle({ args: ['sleep', '1000'] }),
    once: rig.bundle({
      args: `echo -n x >> /once; ${SAY}; exit 3`,
      change: (config) => config.mounts.push(mountOnce),
    }),
  };
  for (const each of CASES.filter(({ name }) => names.includes(name))) {
    await t.test(`${each.name}: killed before any message that it sends`, { skip: needsStrace }, (t) =>
      sweep(t, rig, each, { call: 'sendmsg', what: 'SIGKILL' }),
    );
    if (each.changesState !== true) continue;
    await t.test(`${each.name}: killed before any change of the state`, { skip: needsStrace }, (t) =>
      sweep(t, rig, each, { call: 'mkdir,rename,unlink,rmdir', what: 'SIGKILL' }),
    );
  }
}

interface Blow {
  /** Calls of the planner, as strace names them. */
  readonly call: string;
  readonly what: 'SIGKILL' | 'SIGSTOP';
}

/** Carries out the command again and again, with a planner that meets its end some calls later each time, until it gets through. */
async function sweep(t: Test, rig: Rig, { name, before, args, after }: Case, { call, what }: Blow): Promise<void> {
  let count = 0;
  let isThrough = false;
  let late = 0;
  for (let moment = 1; !isThrough && moment <= MOMENTS_MAX; moment += EVERY) {
    const id = rig.id('ends');
    await before(rig, id);
    const planner = await TestPlanner.start(rig.path('planner.err'));
    const { lost } = planner.report();
    const tracer = await attach(planner.pid, [
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=${what}:when=${moment}`,
    ]);
    const result = await rig.start([...CALLER, LAUNCHER, '--root', rig.root, ...args(rig, id)]).done;
    const isLeft = isRunning(planner.pid);
    // On a busy machine a launcher may not wait for the first word of one that is traced: that says nothing of this moment.
    const isLate = isLeft && planner.ask()?.lost !== lost && late < LATE_MAX;
    isThrough = isLeft && !isLate;
    await planner.end('SIGKILL');
    await tracer.ended;
    await after(t, rig, { id, result, moment: `${name}, killed at ${call} ${moment}` });
    await rig.tsrun(['delete', '--force', id]);
    same(t, 'what the planner says', planner.errors(), '');
    rmSync(rig.path('planner.err'));
    if (isLate) {
      late += 1;
      moment -= EVERY;
    } else if (!isThrough) count += 1;
  }
  t.ok(isThrough, 'the last one got through');
  t.ok(count >= 1, 'and others did not');
  t.comment(`${count} ends, ${late} were late`);
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
