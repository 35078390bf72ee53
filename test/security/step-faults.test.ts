import { closeSync, openSync } from 'node:fs';
import type { Test } from 'tap';
import { buildContainer, type BuiltContainer } from '../../src/container/build/build-container.ts';
import { openBundle, prepareContainer, type PreparedContainer } from '../../src/container/build/prepare-container.ts';
import { prepareExec } from '../../src/container/build/prepare-exec.ts';
import { park } from '../../src/container/create.ts';
import { execPrepared } from '../../src/container/exec.ts';
import type { CreateOptions } from '../../src/container/store/options.ts';
import { deleteContainer, startContainer, TsrunError } from './own-caller.ts';
import type { Runtime } from '../../src/container/caller/caller.ts';
import { ownRuntime } from '../../src/own-process/own-process.ts';
import type { Phase } from '../../src/plan/base/phases.ts';
import { call } from '../../src/program/build.ts';
import { verifyForm } from '../../src/program/model/verify.ts';
import type { CallStep, Step } from '../../src/program/step.ts';
import { sleep } from '../../src/sys/events/poll.ts';
import { live, type Rig } from '../live/support/rig.ts';
import { isRunning, waitFor } from '../live/support/wait.ts';
import { count } from './count.mjs';
import { fullBundle } from './full-bundle.ts';
import {
  children,
  createOptions,
  execOptions,
  initPid,
  openDescriptors,
  reap,
  remains,
  runtimeOf,
} from './in-process.ts';

/** Where a plan is tampered with: phase and step. */
interface Spot {
  readonly phase: number;
  readonly step: number;
}

type Fault = 'errno' | 'death';

/** The step with its label, but a call that the kernel refuses, or that ends init. */
function sabotage(step: Step, fault: Fault): CallStep {
  const { label, pointer, failure } = step;
  const options = {
    label,
    ...(pointer === undefined ? {} : { pointer }),
    ...(failure === undefined ? {} : { failure }),
  };
  if (fault === 'death') return call('exit_group', [99], options);
  // No descriptor has this number: EBADF, which nothing accepts here. What sends an answer stays an attempt to send one.
  const answers = step.kind === 'call' && ['write', 'writev', 'sendmsg'].includes(step.call);
  return answers ? call(step.call, [-1, ...step.operands.slice(1)], options) : call('close', [-1], options);
}

function tamper<Plan extends { readonly phases: readonly Phase[] }>(plan: Plan, at: Spot, fault: Fault): Plan {
  const phases = plan.phases.map((phase, index) => {
    if (index !== at.phase) return phase;
    const steps = phase.program.steps.map((step, number) => (number === at.step ? sabotage(step, fault) : step));
    return { ...phase, program: { ...phase.program, steps } };
  });
  return { ...plan, phases };
}

interface Candidate {
  readonly at: Spot;
  readonly step: Step;
  readonly program: string;
  /** The container's process exists, and its pid has not been told yet. */
  readonly isUnknown: boolean;
  /** The program has sent its answer: when init dies there, the next program finds out. */
  readonly isAnswered: boolean;
}

/** Every step, but those without which a program could not be sent. A step that fails leaves handles open: that is what is tried. */
function spotsOf(phases: readonly Phase[], fault: Fault): Candidate[] {
  const all = phases.flatMap(({ program }, phase) => {
    const clone = program.steps.findIndex((step) => step.kind === 'call' && step.call === 'clone3');
    const answer = program.steps.findLastIndex((step) => step.kind === 'check' || step.accept !== 'any');
    const describe = (step: Step, number: number): Candidate => ({
      at: { phase, step: number },
      step,
      program: program.name,
      isUnknown: clone >= 0 && number > clone,
      isAnswered: number > answer,
    });
    return program.steps.map(describe);
  });
  return all.filter(({ at, isUnknown }) => {
    const changed = tamper({ phases }, at, fault).phases[at.phase];
    return changed !== undefined && verifyForm(changed.program).length === 0 && !(fault === 'death' && isUnknown);
  });
}

/** Deaths look the same to the parent wherever in a program they happen: some of each program will do. */
const DEATH_STRIDE = 13;

/** Ids and paths of a rig end in numbers that no two containers share. */
function withoutIds(label: string): string {
  return label.replaceAll(/-\d+/g, '');
}

/**
 * The steps to fail: every call, but none again whose label an earlier sweep has seen. A check compares two words and cannot fail
 * by itself.
 */
function choose(spots: readonly Candidate[], fault: Fault, seen: Set<string>): Candidate[] {
  if (fault === 'death') return spots.filter((_, index) => index % DEATH_STRIDE === 0);
  const fresh = spots.filter(({ step }) => step.kind === 'call' && !seen.has(withoutIds(step.label)));
  for (const { step } of spots) seen.add(withoutIds(step.label));
  return fresh;
}

/** What is wrong with the failure that a fault led to; undefined when nothing is. */
function judge(error: unknown, { step, program, isAnswered }: Candidate, fault: Fault): string | undefined {
  if (!(error instanceof TsrunError)) return `no failure but ${String(error)}`;
  const { message } = error;
  if (fault === 'death') {
    return error.code === 'init' && (isAnswered || message.startsWith(program))
      ? undefined
      : `${error.code}: ${message}`;
  }
  const parts = (step.failure ?? step.label).split(/\{errno\}|\{error\}/);
  return parts.every((part) => message.includes(part)) ? undefined : message;
}

/**
 * Where the process that cloned fails before it has told the pid, nobody knows the clone: it reads the end of the sync pipe and
 * exits, and is a zombie of the caller's, as docs/security.md says. True when nothing of it is left.
 */
function reapEnded(left: () => string[]): boolean {
  for (const pid of children()) if (!isRunning(Number(pid))) reap(Number(pid));
  return left().length === 0;
}

interface Attempt {
  readonly run: (at: Spot | undefined, fault: Fault) => Promise<void>;
  /** What is left behind by an attempt that failed. */
  readonly left: () => string[];
}

/** Makes every step fail in turn; those that the kernel never comes to go well, and are counted. */
async function sweep(t: Test, spots: readonly Candidate[], fault: Fault, { run, left }: Attempt): Promise<void> {
  const flaws: string[] = [];
  let failed = 0;
  let passed = 0;
  // All waits of a process are behind one descriptor, made at the first and kept.
  await sleep(0);
  const open = openDescriptors();
  for (const spot of spots) {
    const where = `${spot.program}, step ${spot.at.step} (${spot.step.label})`;
    try {
      await run(spot.at, fault);
      passed += 1;
    } catch (error) {
      failed += 1;
      const flaw = judge(error, spot, fault);
      if (flaw !== undefined) flaws.push(`${where}: ${flaw}`);
    }
    if (spot.isUnknown) await waitFor(() => reapEnded(left));
    for (const thing of left()) flaws.push(`${where}: left ${thing}`);
  }
  t.strictSame(flaws, []);
  t.strictSame(openDescriptors(), open, 'no descriptor stays open here');
  t.comment(`${failed} steps failed in turn (${fault}), ${passed} are passed over on this machine`);
  count(fault === 'errno' ? 'steps failed' : 'deaths of init', failed);
  t.ok(failed > passed, 'most of the steps were reached');
}

/** What `createContainer` does with what was built. */
function parkAndLeave(built: BuiltContainer): void {
  park(built);
  built.attempt.directory.close();
  count('containers made');
}

async function prepare(runtime: Runtime, options: CreateOptions): Promise<PreparedContainer> {
  return prepareContainer(runtime, await openBundle(runtime, options), { ...options, listens: true });
}

interface Sweep {
  readonly bundle: string;
  readonly fault: Fault;
  /** Labels of steps that have failed before. */
  readonly seen: Set<string>;
}

async function sweepCreate(t: Test, rig: Rig, { bundle, fault, seen }: Sweep): Promise<void> {
  const nullFd = openSync('/dev/null', 'r+');
  const runtime = ownRuntime(runtimeOf(rig));
  const id = rig.id('fault');
  let phases: readonly Phase[] = [];
  const run = async (at: Spot | undefined): Promise<void> => {
    const prepared = await prepare(runtime, createOptions(id, bundle, nullFd));
    const { plan } = prepared;
    phases = plan.phases;
    const built = await buildContainer(runtime, {
      ...prepared,
      plan: at === undefined ? plan : tamper(plan, at, fault),
    });
    parkAndLeave(built);
    await deleteContainer(runtime, { id, force: true });
    reap(built.partner.pid);
  };
  await run(undefined);
  t.strictSame(remains(rig, id), [], 'without a fault it is made and deleted');
  await sweep(t, choose(spotsOf(phases, fault), fault, seen), fault, { run, left: () => remains(rig, id) });
  closeSync(nullFd);
  t.strictSame(rig.leftovers(), []);
}

async function sweepExec(t: Test, rig: Rig, { bundle, fault, seen }: Sweep): Promise<void> {
  const nullFd = openSync('/dev/null', 'r+');
  const runtime = ownRuntime(runtimeOf(rig));
  const id = rig.id('exec');
  parkAndLeave(await buildContainer(runtime, await prepare(runtime, createOptions(id, bundle, nullFd))));
  await startContainer(runtime, id);
  const pid = initPid(rig, id);
  let phases: readonly Phase[] = [];
  const run = async (at: Spot | undefined): Promise<void> => {
    const options = execOptions(id, ['true'], nullFd);
    using prepared = await prepareExec(runtime, options);
    const { plan } = prepared;
    phases = plan.phases;
    await execPrepared(runtime, { ...prepared, plan: at === undefined ? plan : tamper(plan, at, fault) }, options);
  };
  await run(undefined);
  await sweep(t, choose(spotsOf(phases, fault), fault, seen), fault, {
    run,
    left: () =>
      children()
        .filter((child) => child !== String(pid))
        .map((child) => `child ${child}`),
  });
  await deleteContainer(runtime, { id, force: true });
  reap(pid);
  closeSync(nullFd);
  t.strictSame(rig.leftovers(), []);
}

live('every step of a plan fails for real', async (t, rig) => {
  const seen = new Set<string>();
  for (const user of [false, true]) {
    const bundle = fullBundle(rig, { user });
    for (const fault of ['errno', 'death'] as const) {
      const what =
        fault === 'errno' ? 'the failure names it, and nothing is left' : 'init dies there, and nothing is left';
      await t.test(`create${user ? ' in a user namespace' : ''}: ${what}`, async (t) => {
        await sweepCreate(t, rig, { bundle, fault, seen });
      });
      await t.test(`exec${user ? ' in a user namespace' : ''}: ${what}`, async (t) => {
        await sweepExec(t, rig, { bundle, fault, seen });
      });
    }
  }
});
