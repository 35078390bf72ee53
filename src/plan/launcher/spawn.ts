import { TsrunError } from '../../errors.ts';
import { call, isZero, stringArray, when } from '../../program/build.ts';
import type { Program, Region, Step } from '../../program/step.ts';
import { CLONE_ARGS_SIZE, cloneArgs } from '../../program/structs.ts';
import {
  AT_EMPTY_PATH,
  CLONE_VFORK,
  CLONE_VM,
  CLOSE_RANGE_CLOEXEC,
  FD_CLOEXEC,
  F_SETFD,
} from '../../util/constants.ts';
import { SIGNALS } from '../../util/signals.ts';
import { answer, answered, type LauncherContext } from './context.ts';
import { planReceive } from './receive.ts';

/** A process to be started by a launcher, as its child. */
export interface SpawnOptions {
  /** argv[0], and all there is of arguments; the environment is empty. */
  readonly name: string;
  /** The numbers that the descriptors behind the image get in the new process, in the order in which they are sent. */
  readonly targets: readonly number[];
  /** The caller's own descriptors that the new process has too, under their numbers: 0, 1 and 2, and those that are preserved. */
  readonly kept: readonly number[];
}

/**
 * Starts a process, for which the planner sends a message of up to 8 bytes right behind the program, with the descriptors: first that of
 * the executable, then one for each target. The answer is `spawned`.
 *
 *     receive, move above all targets -> clone3 -> parent: close them, answer
 *                                          |
 *                                          +-> child: targets, nothing else, execveat
 *
 * The child shares the memory and the parent waits until it has executed. A failure of the child is reported by the child, and it reads
 * the next packet: `planEnd` without output ends it. The parent then goes on with receiving; it has not answered.
 */
export function planSpawn(context: LauncherContext, options: SpawnOptions): Program {
  const { targets, kept } = options;
  const pid = context.word('pid of the new process');
  const image = context.word('image');
  const words = targets.map((target) => context.word(`for ${target}`));
  const highest = Math.max(...targets, ...kept);
  if (context.socket <= highest) {
    // The child would report its failures to somebody else.
    throw new TsrunError('unsupported', `start a process with descriptor ${highest}: the socket is ${context.socket}`);
  }
  const received = [image, ...words];
  const args = cloneArgs(BigInt(CLONE_VM | CLONE_VFORK), { exitSignal: SIGNALS.CHLD });
  return answered('spawn', 'spawned', [
    ...planReceive(context, received, highest + 1),
    call('clone3', [args, CLONE_ARGS_SIZE], { label: `start ${JSON.stringify(options.name)}`, result: pid }),
    ...when(isZero(pid), become(options, { image, words, highest }), 'in the new process'),
    ...received.map((word) => call('close', [word], { label: `close ${word.name}` })),
    answer(context, 'spawned', 'tell its pid', [pid]),
  ]);
}

/** Whether a step of `planSpawn` is the new process's, which is left waiting when it fails; the others are the launcher's own. */
export function isOfNewProcess({ steps }: Program, index: number): boolean {
  const place = (wanted: string): number => steps.findIndex((step) => step.kind === 'call' && step.call === wanted);
  return index > place('clone3') && index <= place('execveat');
}

interface Received {
  readonly image: Region;
  readonly words: readonly Region[];
  readonly highest: number;
}

function become({ name, targets, kept }: SpawnOptions, { image, words, highest }: Received): Step[] {
  const wanted = new Set([...targets, ...kept]);
  const others = Array.from({ length: highest + 1 }, (_, number) => number).filter((number) => !wanted.has(number));
  return [
    ...words.map((word, index) => {
      const target = targets[index] ?? -1;
      return call('dup3', [word, target, 0], { label: `be given descriptor ${target}` });
    }),
    // Before Linux 5.11 there is no such flag; what is left open then is the caller's, and init closes it at its start.
    call('close_range', [highest + 1, 0xffff_ffff, CLOSE_RANGE_CLOEXEC], {
      label: 'be given nothing above',
      accept: ['EINVAL'],
    }),
    ...others.map((number) =>
      call('fcntl', [number, F_SETFD, FD_CLOEXEC], { label: `be given no descriptor ${number}`, accept: ['EBADF'] }),
    ),
    call('execveat', [image, '', stringArray([name]), stringArray([]), AT_EMPTY_PATH], {
      label: `execute ${JSON.stringify(name)}`,
    }),
  ];
}
