import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { DescriptorNumbers } from '../../plan/base/context.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import { planRunListened, planRunProgram, type ProgramToRun } from '../../plan/run-program.ts';
import { planSeccomp, type CompiledSeccomp, type SeccompPlan } from '../../plan/seccomp/load.ts';
import { meaningOfSilence } from '../../plan/seccomp/refusals.ts';
import type { Conversation, Reply } from '../../process/conversation.ts';
import type { Program } from '../../program/step.ts';
import type { Config, Process } from '../../spec/generated/config.ts';
import type { State } from '../../spec/generated/state.ts';
import { specVersionMax } from '../../spec/versions.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { pidfdGetfd, pidfdOpen } from '../../sys/process/pidfd.ts';
import { waitReadable } from '../../sys/events/poll.ts';
import { hookState } from '../hooks/state.ts';
import type { Runtime } from '../caller/caller.ts';
import type { ContainerRecord } from '../store/record.ts';

/** How a filter is compiled: what it needs of the runtime, and whether the cache takes part. */
export interface SeccompOptions {
  readonly runtime: Pick<Runtime, 'log' | 'cacheDirectory'>;
  /** Read and write the cache of compiled filters, where there is a directory for it. */
  readonly isCached: boolean;
}

/**
 * The filter of a process, compiled; undefined when the config has none. What compiles filters is loaded only then.
 *
 * Errors: `unsupported`, `host` without libseccomp.
 */
export async function compileSeccomp(
  config: Config,
  process: Process | undefined,
  host: HostFacts,
  { runtime, isCached }: SeccompOptions,
): Promise<CompiledSeccomp | undefined> {
  const plan = planSeccomp(config, process, host);
  if (plan === undefined) return undefined;
  const [{ makeFilter }, { FilterCache }] = await Promise.all([
    import('../../seccomp/filter.ts'),
    import('../../seccomp/cache.ts'),
  ]);
  const { log, cacheDirectory } = runtime;
  const cache =
    isCached && cacheDirectory !== undefined
      ? { cache: new FilterCache(cacheDirectory, { uid: host.identity.euid, log }) }
      : {};
  const program = await makeFilter(plan.rules, { log, ...cache });
  return { ...plan, program };
}

/** A process whose filter has a listener. */
export interface ListenedProcess {
  readonly pid: number;
  readonly state: State;
  readonly seccomp: SeccompPlan | undefined;
}

/** Gets the listener of a filter from the process that loaded it, and sends it to the one that answers. Errors: `host`. */
export async function handOverListener({ pid, state, seccomp }: ListenedProcess, reply: Reply): Promise<void> {
  if (seccomp?.listener === undefined) throw new Error('bug: a seccomp listener that nobody waits for');
  const { sendListener } = await import('../../seccomp/notify.ts');
  using listener = reply.descriptors[0] ?? takeListener(pid, listenerNumber(reply));
  const { path, metadata } = seccomp.listener;
  await sendListener(listener.number, path, {
    ociVersion: specVersionMax,
    fds: ['seccompFd'],
    pid,
    ...(metadata === undefined ? {} : { metadata }),
    state,
  });
}

function takeListener(pid: number, number: number): OwnedFd {
  using pidfd = pidfdOpen(pid);
  return pidfdGetfd(pidfd.number, number);
}

/** What init calls it. */
function listenerNumber({ body }: Reply): number {
  return Number(body.readBigUInt64LE(body.length - 8));
}

/** The state of a container from what is remembered of it. */
export function stateOf(record: ContainerRecord, status: State['status']): State {
  return { ...hookState(record, status), pid: record.init?.pid ?? 0 };
}

/** The program that init becomes, its filter, and what the parent does meanwhile. */
export interface BecomeProgramOptions {
  readonly descriptors: DescriptorNumbers;
  readonly program: Omit<ProgramToRun, 'seccomp'>;
  readonly seccomp: CompiledSeccomp | undefined;
  /** The process that becomes the program, as the runtime sees it. */
  readonly pid: number;
  /** State of the container, for the listener. */
  readonly state: State;
  /** Another way to send the last program, which does not return when it is taken; only where silence is success. */
  readonly leave?: (program: Program) => void;
}

/**
 * The end of a conversation: init becomes the program, with its filter loaded. Errors: `step`, `host`; `program` also where init ended
 * and the filter kept it from saying why.
 */
export async function becomeProgram(
  conversation: Conversation,
  { descriptors, program, seccomp, pid, state, leave }: BecomeProgramOptions,
): Promise<void> {
  const silence = meaningOfSilence(seccomp);
  const before = silence === 'unknown' ? readName(pid) : undefined;
  let unfit: Reply | undefined;
  if (seccomp?.position !== 'late' || seccomp.listener === undefined) {
    const last = planToRun(descriptors, program, seccomp);
    if (silence === 'success') leave?.(last);
    unfit = await conversation.runToEnd(last);
  } else {
    const { load, run } = planRunListened(descriptors, { ...program, seccomp }, seccomp);
    const reply = await conversation.run(load);
    await handOverListener({ pid, state, seccomp }, reply);
    unfit = await conversation.runToEnd(run(listenerNumber(reply)));
  }
  const { executable } = program;
  if (unfit !== undefined) {
    // Nothing that has gone well needs it.
    const { sayUnfit } = await import('./say-unfit.ts');
    await sayUnfit(conversation, unfit, { syncFd: descriptors.sync, executable, seccomp });
    return;
  }
  if (silence === 'death' || (before !== undefined && (await endsAs(pid, before)))) throw silentDeath(program, seccomp);
}

/** The last program of a container's init, with its filter. */
export function planToRun(
  descriptors: DescriptorNumbers,
  program: Omit<ProgramToRun, 'seccomp'>,
  seccomp: CompiledSeccomp | undefined,
): Program {
  return planRunProgram(descriptors, { ...program, ...(seccomp === undefined ? {} : { seccomp }) });
}

function silentDeath({ process }: Pick<ProgramToRun, 'process'>, seccomp: SeccompPlan | undefined): TsrunError {
  const shown = JSON.stringify(process.args?.[0] ?? '');
  const call = meaningOfSilence(seccomp) === 'death' ? 'execve' : 'write, so that nothing could tell the reason';
  const found = `init has ended: the seccomp profile (default ${seccomp?.defaultAction ?? ''}) refuses ${call}`;
  return new TsrunError('program', `exec: ${shown}: ${found}`, { errno: 'EPERM', pointer: '/linux/seccomp' });
}

/** The kernel names a process after what it executes, and keeps the name of one that has ended until it is reaped. */
function readName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/**
 * Whether a process whose close-on-exec descriptors are closed ends under the name it had: then it executed nothing. One that somebody
 * else has reaped already counts as a program that ended. The new name comes some microseconds after the descriptors are closed.
 */
async function endsAs(pid: number, name: string): Promise<boolean> {
  const LOOK_EVERY_MS = 10;
  const SLOWEST_END_MS = 10_000;
  let pidfd: OwnedFd;
  try {
    pidfd = pidfdOpen(pid);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return false;
    throw error;
  }
  using _owner = pidfd;
  for (let waitedMs = 0; waitedMs < SLOWEST_END_MS; waitedMs += LOOK_EVERY_MS) {
    if (readName(pid) !== name) return false;
    if (await waitReadable(pidfd.number, LOOK_EVERY_MS)) return readName(pid) === name;
  }
  return false;
}
