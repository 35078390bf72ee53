import type { ReplyForm } from '../../program/step.ts';
import { EXCHANGES } from '../base/exchanges.ts';

/** Room for an answer of init: the largest, and the tag in front of it. */
export const TOLD_MORE_BYTES = 8 * (1 + EXCHANGES.look.words);

/**
 * Everything that a launcher answers, as EXCHANGES (plan/base/exchanges.ts) has it of init. No tag is one of init's: a planner may have
 * both at the other ends of its sockets.
 */
export const LAUNCHER_EXCHANGES = {
  /** A process was spawned: its pid as the launcher sees it. The launcher reaps it. */
  spawned: { tag: 64n, words: 1, descriptors: 0 },
  /** The numbers of the descriptors of its signals, and of the program's pidfd. */
  attends: { tag: 65n, words: 2, descriptors: 0 },
  /** Something happened: struct pollfd of the signals, the program and the socket, and struct signalfd_siginfo, zeros for no signal. */
  watched: { tag: 66n, words: 19, descriptors: 0 },
  /** The result of waitid(2): 0 or a negative errno; and the siginfo_t, zeros for no child that has ended. */
  ended: { tag: 67n, words: 17, descriptors: 0 },
  /** The result of write(2). */
  written: { tag: 68n, words: 1, descriptors: 0 },
  /** A part of the output could not be written whole: its index, and the result of write(2). What came behind has not been done. */
  unwritten: { tag: 69n, words: 2, descriptors: 0 },
  /** The result of what was last done with init: 0 where it became the program, a negative errno, or the size of its report, which follows. */
  told: { tag: 70n, words: 4, descriptors: 0 },
  /** The same of a further packet, with an answer of any size behind the result. */
  'told-more': { tag: 71n, words: 1 + TOLD_MORE_BYTES / 8, descriptors: 0 },
} as const satisfies Readonly<Record<string, ReplyForm>>;

/** An answer of a launcher. */
export type LauncherReply = keyof typeof LAUNCHER_EXCHANGES;
