import { addressOf, at, block, call, equals, unless } from '../../program/build.ts';
import { LAUNCHER_LAYOUT, LAYOUT } from '../../program/layout.ts';
import type { Program, Region, Step } from '../../program/step.ts';
import {
  pollfds,
  REVENTS_SHIFT,
  SIGINFO_SIZE,
  SIGNALFD_INFO_SIZE,
  signalSet,
  SIGNAL_SET_SIZE,
} from '../../program/structs.ts';
import {
  O_CLOEXEC,
  O_NONBLOCK,
  PR_SET_CHILD_SUBREAPER,
  P_ALL,
  P_PID,
  SIG_BLOCK,
  WEXITED,
  WNOHANG,
  WNOWAIT,
} from '../../util/constants.ts';
import { LAUNCHED } from '../../util/launched.ts';
import { answer, answered, type LauncherContext } from './context.ts';

/** What `planAttend` makes of a launcher. */
export interface AttendOptions {
  /** Of the program: a child, so that the number is nobody else's before it is reaped. */
  readonly pid: number;
  /** Numbers of the signals that the planner forwards or acts on. */
  readonly signals: readonly number[];
  /** Orphans of the container become children of the launcher. */
  readonly subreaper: boolean;
}

/** Has the launcher wait for signals in place of dying of them, and for the end of the program. The answer is `attends`. */
export function planAttend(context: LauncherContext, { pid, signals, subreaper }: AttendOptions): Program {
  const file = context.word('signals');
  const program = context.word('pidfd of the program');
  const set = signalSet(signals);
  return answered('attend', 'attends', [
    call('rt_sigprocmask', [SIG_BLOCK, set, addressOf(handedOver('blockedBefore')), SIGNAL_SET_SIZE], {
      label: 'block the signals',
    }),
    call('rt_sigprocmask', [SIG_BLOCK, 0, addressOf(handedOver('blockedAfter')), SIGNAL_SET_SIZE], {
      label: 'keep them for whoever takes over',
    }),
    call('signalfd4', [-1, set, SIGNAL_SET_SIZE, O_CLOEXEC | O_NONBLOCK], { label: 'have them as data', result: file }),
    ...(subreaper ? [call('prctl', [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0], { label: 'be the parent of orphans' })] : []),
    call('pidfd_open', [pid, 0], { label: `open process ${pid}`, result: program }),
    answer(context, 'attends', 'tell the descriptors', [file, program]),
  ]);
}

/** A word of what a launcher hands over to the cold command. */
function handedOver(name: 'blockedBefore' | 'blockedAfter'): Region {
  const offset = LAUNCHER_LAYOUT.header.address - LAYOUT.memory.address + LAUNCHED[name];
  return { kind: 'region', name, offset, size: SIGNAL_SET_SIZE };
}

/** Numbers of the launcher's descriptors, of the answer `attends`. */
export interface Watched {
  readonly signals: number;
  readonly program: number;
}

/** Places of the answer `watched`, in bytes from its start. */
export const WATCHED = {
  /** The i16 revents of each. */
  signals: 14,
  program: 22,
  socket: 30,
  /** struct signalfd_siginfo, whose first u32 is the signal, 0 for none. */
  signal: 32,
} as const;

/**
 * Waits for a signal, for the end of the program, or for the next packet, and takes one signal. The answer is `watched`: the same packet
 * may be sent again after each.
 */
export function planWatch(context: LauncherContext, { signals, program }: Watched): Program {
  const files = pollfds([signals, program, context.socket], ['signals', 'program', 'socket']);
  const info = block(new Uint8Array(SIGNALFD_INFO_SIZE), 'siginfo');
  const quiet = equals(at(files, 0), 0n, { mask: 0xffffn << REVENTS_SHIFT, text: 'there is no signal' });
  return answered('watch', 'watched', [
    call('ppoll', [files, 3, 0, 0, 0], { label: 'wait for something to happen', accept: ['EINTR'] }),
    ...unless(quiet, [
      call('read', [signals, info, SIGNALFD_INFO_SIZE], { label: 'take a signal', accept: ['EAGAIN', 'EINTR'] }),
    ]),
    answer(context, 'watched', 'tell what happened', [files, info]),
  ]);
}

/**
 * Looks for a child that has ended, that one or any, after it has reaped those that nobody asks about any more. What is found stays a
 * zombie: as long as the planner has not finished the command, somebody else may have to learn how it ended. The answer is `ended`.
 */
export function planLookForEnd(
  context: LauncherContext,
  { pid, reap }: { readonly pid: number | 'any'; readonly reap: readonly number[] },
): Program {
  const result = context.word('whether there are children');
  const info = block(new Uint8Array(SIGINFO_SIZE), 'siginfo');
  const [type, id, label] =
    pid === 'any' ? [P_ALL, 0, 'look for a child that has ended'] : [P_PID, pid, `look how process ${pid} ended`];
  return answered('look for an end', 'ended', [
    ...reap.map((child) => planReap(child)),
    call('waitid', [type, id, info, WEXITED | WNOHANG | WNOWAIT, 0], { label, accept: ['ECHILD'], result }),
    answer(context, 'ended', 'tell how it ended', [result, info]),
  ]);
}

/** Reaps a child that has ended, or is about to; one that is there no more is fine. */
export function planReap(pid: number): Step {
  return call('wait4', [pid, 0, 0, 0], { label: `reap process ${pid}`, accept: 'any' });
}
