import { block, call } from '../../program/build.ts';
import type { Block, Program, Step } from '../../program/step.ts';
import { signalSet, SIGNAL_SET_SIZE } from '../../program/structs.ts';
import { SIG_BLOCK } from '../../util/constants.ts';
import { SIGNALS } from '../../util/signals.ts';
import { answer, answered, type LauncherContext } from './context.ts';

/** Something to be written by a launcher itself, with the caller's own SIGPIPE and terminal. */
export interface Output {
  /** 1 or 2, or another that the launcher has. */
  readonly fd: number;
  readonly bytes: Uint8Array;
}

/** Writes once, as much as goes. The answer is `written`. */
export function planOutput(context: LauncherContext, { fd, bytes }: Output): Program {
  const count = context.word('written');
  return answered('output', 'written', [
    blockPipe(),
    call('write', [fd, outputBlock(bytes), bytes.length], {
      label: `write to descriptor ${fd}`,
      accept: 'any',
      result: count,
    }),
    answer(context, 'written', 'tell how much was written', [count]),
  ]);
}

/** Whoever reads has gone away: that is an errno, and no end of the launcher, whose exit code says how the command went. */
export function blockPipe(): Step {
  const set = signalSet([SIGNALS.PIPE]);
  return call('rt_sigprocmask', [SIG_BLOCK, set, 0, SIGNAL_SET_SIZE], { label: 'do without SIGPIPE' });
}

/** The bytes as a structure of a program. */
export function outputBlock(bytes: Uint8Array): Block {
  return block(bytes, `${bytes.length} bytes`);
}
