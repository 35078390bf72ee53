import type { CallStep, Program } from './step.ts';

/** A stretch of time. Both in microseconds since 1970, with fractions. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What the command itself does, one phase behind the other without a gap. */
export interface PhaseSpan extends Span {
  readonly name: string;
  /** What this process has used of the processor meanwhile, microseconds. */
  readonly userUs: number;
  readonly kernelUs: number;
}

/** A step that was executed: from when the one before had ended until the kernel has answered. */
export interface StepSpan extends Span {
  /** Index in its program. */
  readonly index: number;
  readonly label: string;
  readonly call: string;
  readonly pointer?: string;
}

/** A program on its way: `from` when it was sent, `to` when its answer was there, and what init did in between. */
export interface ProgramSpan extends Span {
  readonly name: string;
  /** From `from` until init takes it up; `to` of the last step until `to` the answer travels. */
  readonly steps: readonly StepSpan[];
}

/** Where the time of a command went. */
export interface Timeline {
  readonly phases: readonly PhaseSpan[];
  readonly programs: readonly ProgramSpan[];
}

/** What is known of a program that was sent: the time in each of its records, microseconds, 0 where nothing was written. */
export interface ProgramTimes extends Span {
  readonly program: Program;
  /** Index of the step that each record belongs to, -1 for the moment when init took it up. */
  readonly records: readonly number[];
  readonly times: readonly number[];
}

/** The steps of a program in the order in which they were done. */
export function spanProgram({ program, records, times, from, to }: ProgramTimes): ProgramSpan {
  const noted = records
    // What init does behind its answer keeps nobody waiting.
    .map((index, record) => ({ index, time: Math.min(times[record] ?? 0, to) }))
    .filter(({ time }) => time > 0)
    .sort((a, b) => a.time - b.time);
  const steps: StepSpan[] = [];
  let last = noted[0]?.time ?? from;
  for (const { index, time } of noted) {
    const step = program.steps[index];
    if (step?.kind !== 'call') continue;
    steps.push({ ...nameStep(step, index), from: last, to: time });
    last = time;
  }
  const untold = program.replies || noted.length === 0 || to <= last ? undefined : firstUntold(program, records, times);
  if (untold !== undefined) steps.push({ ...untold, from: last, to });
  return { name: program.name, from, to, steps };
}

/** Behind the last record of a program that answers with its end are execve(2) and, where it has a filter, what this lets through. */
function firstUntold(
  { steps }: Program,
  records: readonly number[],
  times: readonly number[],
): Omit<StepSpan, keyof Span> | undefined {
  const last = Math.max(...records.filter((_, record) => (times[record] ?? 0) > 0));
  const index = steps.findIndex((step, at) => at > last && step.kind === 'call');
  const step = steps[index];
  if (step?.kind !== 'call') return undefined;
  const isLast = step.call === 'execve' || step.call === 'execveat';
  return nameStep({ ...step, label: isLast ? step.label : `${step.label}, and all that follows` }, index);
}

function nameStep({ label, call, pointer }: CallStep, index: number): Omit<StepSpan, keyof Span> {
  return { index, label, call, ...(pointer !== undefined && { pointer }) };
}

/** How long it takes, microseconds. */
export function durationOf({ from, to }: Span): number {
  return to - from;
}
