import { durationOf, type PhaseSpan, type ProgramSpan, type Span, type StepSpan, type Timeline } from './timeline.ts';

/**
 * An event of the format that Perfetto and chrome://tracing open. `X` is a stretch of time, `M` names a row. Times in microseconds.
 * Source: "Trace Event Format", the document of the Chromium project.
 */
export interface TraceEvent {
  readonly ph: 'X' | 'M';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

/** A trace as a file. */
export interface TraceFile {
  readonly displayTimeUnit: 'ns';
  readonly traceEvents: readonly TraceEvent[];
  readonly otherData: Readonly<Record<string, string>>;
}

/** The rows. Their numbers are no pids: a reader shows them in this order. */
const PARENT = { pid: 1, tid: 1 };
const INIT = { pid: 2, tid: 1 };
const KERNEL = { pid: 2, tid: 2 };

/** Categories of events, which a reader may filter by. */
export const TRACE_CATEGORIES = {
  phase: 'phase',
  program: 'program',
  travel: 'travel',
  step: 'step',
  kernel: 'kernel',
} as const;

/** A time line as a trace: what the command does above, and what init does below it, its steps and the call that each is. */
export function traceEvents({ phases, programs }: Timeline, otherData: Readonly<Record<string, string>>): TraceFile {
  const start = Math.min(...[...phases, ...programs].map(({ from }) => from));
  const rows: TraceEvent[] = [
    nameRow('process_name', PARENT, 'tsrun'),
    nameRow('thread_name', PARENT, 'phases of the command'),
    nameRow('process_name', INIT, 'init of the container'),
    nameRow('thread_name', INIT, 'programs and their steps'),
    nameRow('thread_name', KERNEL, 'in the kernel'),
  ];
  return {
    displayTimeUnit: 'ns',
    otherData,
    traceEvents: [
      ...rows,
      ...phases.map((phase) => phaseEvent(phase, start)),
      ...programs.flatMap((program) => programEvents(program, start)),
    ],
  };
}

function nameRow(name: string, row: typeof PARENT, text: string): TraceEvent {
  return { ph: 'M', name, ...row, args: { name: text } };
}

function phaseEvent({ name, userUs, kernelUs, ...span }: PhaseSpan, start: number): TraceEvent {
  const args = { 'processor, own code (us)': userUs, 'processor, in the kernel (us)': kernelUs };
  return event(name, 'phase', PARENT, { span, start, args });
}

function programEvents({ name, steps, ...span }: ProgramSpan, start: number): TraceEvent[] {
  const events = [event(name, 'program', INIT, { span, start })];
  const travel = (what: string, from: number, to: number): void => {
    if (to > from) events.push(event(what, 'travel', INIT, { span: { from, to }, start }));
  };
  travel('init takes the program up', span.from, steps[0]?.from ?? span.to);
  for (const { label, call, index, pointer, ...own } of steps) {
    const args = { program: name, step: index, call, ...(pointer !== undefined && { 'config.json': pointer }) };
    events.push(
      event(label, 'step', INIT, { span: own, start, args }),
      event(call, 'kernel', KERNEL, { span: own, start, args: { label } }),
    );
  }
  const last = steps.at(-1);
  if (last !== undefined) travel('until the command has the answer', last.to, span.to);
  return events;
}

function event(
  name: string,
  cat: keyof typeof TRACE_CATEGORIES,
  row: typeof PARENT,
  { span, start, args }: { readonly span: Span; readonly start: number; readonly args?: TraceEvent['args'] },
): TraceEvent {
  return {
    ph: 'X',
    name,
    cat,
    ...row,
    ts: round(span.from - start),
    dur: round(durationOf(span)),
    ...(args && { args }),
  };
}

/** To nanoseconds: what is behind that is noise of the arithmetic. */
function round(microseconds: number): number {
  return Math.round(microseconds * 1000) / 1000;
}

/**
 * The time line that a trace was made of; what is no event of ours is passed over, whatever it is. Undefined for what is no trace at all.
 */
export function readTraceEvents(trace: unknown): Timeline | undefined {
  const events = isRecord(trace) ? trace['traceEvents'] : undefined;
  if (!Array.isArray(events)) return undefined;
  const phases: PhaseSpan[] = [];
  const programs: (ProgramSpan & { readonly steps: StepSpan[] })[] = [];
  for (const event of events as unknown[]) {
    if (!isRecord(event)) continue;
    const { name, cat, ts, dur, args } = event;
    if (typeof name !== 'string' || typeof ts !== 'number' || typeof dur !== 'number' || !(dur >= 0)) continue;
    const span = { from: ts, to: ts + dur };
    if (cat === 'phase') phases.push({ name, ...span, userUs: 0, kernelUs: 0 });
    if (cat === 'program') programs.push({ name, ...span, steps: [] });
    if (cat !== 'step' || !isRecord(args)) continue;
    const { step: index, call } = args;
    if (typeof index === 'number' && typeof call === 'string')
      programs.at(-1)?.steps.push({ ...span, index, label: name, call });
  }
  return { phases, programs };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
