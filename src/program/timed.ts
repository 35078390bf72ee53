import { CLOCK_REALTIME, MAP_SHARED_FIXED, PROT_READ_WRITE } from '../util/constants.ts';
import { call, wordBlock } from './build.ts';
import { RECORD_SIZE, RECORDS_LAYOUT } from './layout.ts';
import type { Program, Step } from './step.ts';

/**
 * A program with the time of each of its steps: behind every call the kernel writes the time into a record of its own, in a file that
 * this process maps as well. Nobody has to ask init for it, and it outlives init, its image and its last word.
 *
 *     record 0   the program is taken up
 *     record n   the nth call has returned
 */
export interface TimedProgram {
  readonly program: Program;
  /** Index of each step in the program as it was planned; -1 for a step that tells the time. */
  readonly origins: readonly number[];
  /** Index of the step, as it was planned, that each record belongs to; -1 for the beginning. */
  readonly records: readonly number[];
  /** It loads a filter, which may know nothing of clock_gettime(2): what comes behind has no records. */
  readonly filters: boolean;
}

/** How many records there is room for. */
export const RECORDS_MAX = RECORDS_LAYOUT.size / RECORD_SIZE;

/** The program that writes its records from the number `first` on. Where there is no room, or a filter is loaded, it goes on without. */
export function timeProgram({ name, replies, reply, steps: planned }: Program, first: number): TimedProgram {
  const steps: Step[] = [];
  const origins: number[] = [];
  const records: number[] = [];
  /** Where each planned step begins; behind the last, the end. */
  const starts: number[] = [];
  let filters = false;
  const record = (origin: number): void => {
    if (filters || first + records.length >= RECORDS_MAX) return;
    steps.push(tellTime(first + records.length));
    origins.push(-1);
    records.push(origin);
  };
  record(-1);
  for (const [index, step] of planned.entries()) {
    starts.push(steps.length);
    steps.push(step);
    origins.push(index);
    filters ||= step.kind === 'call' && step.call === 'seccomp';
    if (step.kind === 'call') record(index);
  }
  starts.push(steps.length);
  const stretched = steps.map((step, at) => stretch(step, origins[at] ?? -1, starts));
  const program = { name, replies, ...(reply && { reply }), steps: stretched };
  return { program, origins, records, filters };
}

/** A check counts steps, of which there are more now. */
function stretch(step: Step, origin: number, starts: readonly number[]): Step {
  if (step.kind === 'call' || origin < 0) return step;
  const startOf = (index: number): number => starts[Math.max(0, Math.min(index, starts.length - 1))] ?? 0;
  const { then } = step;
  if ('skip' in then) return { ...step, then: { skip: startOf(origin + 1 + then.skip) - startOf(origin + 1) } };
  if ('repeat' in then) return { ...step, then: { ...then, repeat: startOf(origin) - startOf(origin - then.repeat) } };
  return step;
}

function tellTime(number: number): Step {
  const address = RECORDS_LAYOUT.address + number * RECORD_SIZE;
  return call('clock_gettime', [CLOCK_REALTIME, address], { label: 'note the time', accept: 'any' });
}

/** The tag of the answer. */
const MAPPED = 16n;

/** The first program of an init that tells the time: it maps the file behind the descriptor `file`, and answers through `sync`. */
export function planRecords({ file, sync }: { readonly file: number; readonly sync: number }): Program {
  const { address, size } = RECORDS_LAYOUT;
  return {
    name: 'map the file for times',
    replies: true,
    reply: { tag: MAPPED, words: 0, descriptors: 0 },
    steps: [
      call('mmap', [address, size, PROT_READ_WRITE, MAP_SHARED_FIXED, file, 0], { label: 'map the file for times' }),
      call('close', [file], { label: 'close the file for times' }),
      call('write', [sync, wordBlock([MAPPED], '{tag=mapped}'), 8], { label: 'tell that it is mapped' }),
    ],
  };
}
