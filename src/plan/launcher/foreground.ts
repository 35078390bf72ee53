import { at, block, call, equals, unless, words } from '../../program/build.ts';
import type { Program } from '../../program/step.ts';
import { pollfds, REVENTS_SHIFT, SIGNALFD_INFO_SIZE, signalSet, SIGNAL_SET_SIZE } from '../../program/structs.ts';
import { O_CLOEXEC, O_NONBLOCK, PR_SET_CHILD_SUBREAPER, SIG_BLOCK, WNOHANG } from '../../util/constants.ts';
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
    call('rt_sigprocmask', [SIG_BLOCK, set, 0, SIGNAL_SET_SIZE], { label: 'block the signals' }),
    call('signalfd4', [-1, set, SIGNAL_SET_SIZE, O_CLOEXEC | O_NONBLOCK], { label: 'have them as data', result: file }),
    ...(subreaper ? [call('prctl', [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0], { label: 'be the parent of orphans' })] : []),
    call('pidfd_open', [pid, 0], { label: `open process ${pid}`, result: program }),
    answer(context, 'attends', 'tell the descriptors', [file, program]),
  ]);
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

/** Reaps a child that has ended, -1 for any. The answer is `reaped`; no waiting. */
export function planReap(context: LauncherContext, pid: number): Program {
  const result = context.word('reaped');
  const status = words([0], 'status');
  return answered('reap', 'reaped', [
    call('wait4', [pid, status, WNOHANG, 0], {
      label: pid === -1 ? 'reap whatever has ended' : `reap process ${pid}`,
      accept: ['ECHILD'],
      result,
    }),
    answer(context, 'reaped', 'tell how it ended', [result, status]),
  ]);
}
