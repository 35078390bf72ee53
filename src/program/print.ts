import { printOperands, printStep } from './print-step.ts';
import { describePlace } from './build.ts';
import { topicStarts } from './series.ts';
import type { Errno } from '../util/errno.ts';
import type { Program, Step } from './step.ts';

/**
 * A program as text, a line a step below the topic that it belongs to; steps that a check may skip are indented below it. The same program always gives the
 * same text, for `tsrun explain` and for goldens.
 *
 *      mounts:
 *      12  if target >= 0 skip 1  # make "/proc" unless it is there
 *      13    mkdirat(root, "proc", 0755), accepts EEXIST  # create directory "/proc"  (/mounts/0)
 */
export function printProgram(program: Program): string {
  const depths = spanDepths(program.steps);
  const topics = topicStarts(program);
  const lines = program.steps.flatMap((step, index) => {
    const pointer = step.pointer === undefined ? '' : `  (${step.pointer})`;
    const number = `${index}`.padStart(4);
    const topic = topics.get(index);
    const line = `${number}  ${'  '.repeat(depths[index] ?? 0)}${printStep(step)}  # ${step.label}${pointer}`;
    return topic === undefined ? [line] : [`  ${topic.name}:`, line];
  });
  const title = `${program.name}${program.replies ? '' : ' (no reply)'}`;
  return [title, ...lines, ''].join('\n');
}

/** For each step, how many checks may skip it. */
function spanDepths(steps: readonly Step[]): number[] {
  const depths = steps.map(() => 0);
  steps.forEach((step, index) => {
    if (step.kind !== 'check' || !('skip' in step.then)) return;
    const last = Math.min(index + step.then.skip, steps.length - 1);
    for (let inside = index + 1; inside <= last; inside++) depths[inside] = (depths[inside] ?? 0) + 1;
  });
  return depths;
}

/** A program as plain data; operands read as in the text. */
export interface ProgramJson {
  readonly name: string;
  readonly replies: boolean;
  /** What the steps are about: the index of the first of each topic. */
  readonly topics?: readonly { readonly name: string; readonly step: number }[];
  readonly steps: readonly StepJson[];
}

interface StepJsonBase {
  readonly index: number;
  readonly label: string;
  readonly pointer?: string;
}

/** A system call; operands read as in the text, `result` names the place that its result goes to. */
export interface CallJson extends StepJsonBase {
  readonly call: string;
  readonly operands: readonly string[];
  readonly result?: string;
  readonly accept?: readonly Errno[] | 'any';
}

/** A check: its condition as text, and one of skip, fail and repeat. */
export interface CheckJson extends StepJsonBase {
  readonly if: string;
  /** How many of the next steps are not executed when the condition holds. */
  readonly skip?: number;
  /** The errno with which the program fails when the condition holds. */
  readonly fail?: Errno;
  /** How many of the steps before are executed again first when the condition holds, and how often. */
  readonly repeat?: number;
  readonly tries?: number;
}

/** A step of `tsrun explain` in JSON; a call has `call`, a check has `if`. */
export type StepJson = CallJson | CheckJson;

/** A program as data for JSON.stringify. */
export function programToJson(program: Program): ProgramJson {
  const topics = [...topicStarts(program)].map(([step, { name }]) => ({ name, step }));
  const { name, replies, steps } = program;
  return { name, replies, ...(topics.length > 0 && { topics }), steps: steps.map(stepToJson) };
}

function stepToJson(step: Step, index: number): StepJson {
  const base = { index, label: step.label, ...(step.pointer === undefined ? {} : { pointer: step.pointer }) };
  if (step.kind === 'check') return { ...base, if: step.condition.text, ...step.then };
  return {
    ...base,
    call: step.call,
    operands: printOperands(step),
    ...(step.result === undefined ? {} : { result: describePlace(step.result) }),
    ...(step.accept === undefined ? {} : { accept: step.accept }),
  };
}
