import { call, equals, not, unless, wordBlock } from '../../program/build.ts';
import type { Program, Region, Step } from '../../program/step.ts';
import { answer, type LauncherContext } from './context.ts';
import { LAUNCHER_EXCHANGES } from './exchanges.ts';
import { planReap } from './foreground.ts';
import { blockPipe, outputBlock, type Output } from './output.ts';

/** How a launcher ends. */
export interface EndOptions {
  /** Written in this order before. */
  readonly output?: readonly Output[];
  /** Children that have ended or are about to, and are reaped before. */
  readonly children?: readonly number[];
  /** 0 to 255. */
  readonly code: number;
}

/**
 * Ends a launcher. There is an answer only where a part of the output was not written whole, `unwritten`: then it has not ended, and the
 * planner sends the end anew with what is left.
 */
export function planEnd(context: LauncherContext, { output = [], children = [], code }: EndOptions): Program {
  const count = output.length === 0 ? undefined : context.word('written at the end');
  let steps: Step[] = [
    ...children.map((child) => planReap(child)),
    call('exit_group', [code], { label: `end with ${code}` }),
  ];
  for (const [index, part] of [...output.entries()].reverse())
    if (count !== undefined) steps = writePart(context, { ...part, index, count }, steps);
  if (output.length > 0) steps = [blockPipe(), ...steps];
  return { name: 'end', steps, replies: true, reply: LAUNCHER_EXCHANGES.unwritten };
}

/** `rest` is what comes behind a part that was written whole. */
function writePart(
  context: LauncherContext,
  { fd, bytes, index, count }: Output & { readonly index: number; readonly count: Region },
  rest: readonly Step[],
): Step[] {
  const isWhole = equals(count, BigInt(bytes.length), { text: 'all of it was written' });
  return [
    call('write', [fd, outputBlock(bytes), bytes.length], {
      label: `write to descriptor ${fd}`,
      accept: 'any',
      result: count,
    }),
    ...unless(isWhole, [answer(context, 'unwritten', 'tell what is missing', [wordBlock([index], `${index}`), count])]),
    ...unless(not(isWhole), rest),
  ];
}
