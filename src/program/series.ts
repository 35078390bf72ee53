import type { Part, Program, SeriesValue, Step, Topic } from './step.ts';

/** From so many items on a series pays: fewer fit into a packet or two. */
export const SERIES_LEAST = 100;
/** Texts of more characters may not fit into a packet with the steps that they belong to. */
const LONGEST_TEXT = 4096;

/** Of the private use area: what users write has them hardly ever. */
const FIRST_MARK = 0xe000;
const MARKS = /[\ue000-\ue0ff]/;

/** The text in a stand-in that an item has a text of its own for: one character. */
export function mark(index: number): string {
  return String.fromCharCode(FIRST_MARK + index);
}

/** No number that is passed to a system call or compared with one, but for the lowest byte. */
const FIRST_NUMBER_MARK = 0x7365_7269_6573_0000n;
const NUMBER_MARKS = 0x100n;

/** The number in a stand-in that an item has a number of its own for. */
export function numberMark(index: number): bigint {
  return FIRST_NUMBER_MARK + BigInt(index);
}

/** Which number of an item a number of a stand-in is replaced by; undefined for one that stays. */
export function numberAt(value: number | bigint): number | undefined {
  if (typeof value === 'number' || value < FIRST_NUMBER_MARK || value >= FIRST_NUMBER_MARK + NUMBER_MARKS)
    return undefined;
  return Number(value - FIRST_NUMBER_MARK);
}

/** Whether a text of the configuration can be told from marks, and is no longer than those of a series may be. */
export function fitsSeries(text: string): boolean {
  return text.length <= LONGEST_TEXT && !hasMark(text);
}

/** Whether a text has a mark in it. */
export function hasMark(text: string): boolean {
  return MARKS.test(text);
}

/** The text of an item: marks replaced by its values. Undefined where a text of the stand-in has none. */
export function withValues(text: string): ((values: readonly SeriesValue[]) => string) | undefined {
  if (!hasMark(text)) return undefined;
  const textAt = (values: readonly SeriesValue[], found: string): string =>
    `${values[found.charCodeAt(0) - FIRST_MARK] ?? ''}`;
  if (text.length === 1) return (values) => textAt(values, text);
  return (values) => text.replaceAll(new RegExp(MARKS, 'g'), (found) => textAt(values, found));
}

/** All steps of the parts, in order. */
export function expandParts(parts: readonly Part[]): Step[] {
  const steps: Step[] = [];
  for (const part of parts) {
    if (part.kind !== 'series') steps.push(part);
    else for (let index = 0; index < part.count; index++) steps.push(...part.plan(index));
  }
  return steps;
}

/** A program of parts. Its steps are all of them; where there is a series, they are planned when somebody looks. */
export function programOf(head: Omit<Program, 'steps' | 'parts'>, parts: readonly Part[]): Program {
  const steps = parts.filter((part) => part.kind !== 'series');
  if (steps.length === parts.length) return { ...head, steps };
  let expanded: readonly Step[] | undefined;
  return {
    ...head,
    parts,
    get steps() {
      return (expanded ??= expandParts(parts));
    },
  };
}

/** Index of the first step of a topic -> that topic. */
export function topicStarts({ steps, parts = steps, topics = [] }: Program): ReadonlyMap<number, Topic> {
  const starts = new Map<number, Topic>();
  for (const topic of topics) {
    const before = parts.slice(0, topic.part);
    starts.set(
      before.reduce((count, part) => count + (part.kind === 'series' ? part.count * part.template.length : 1), 0),
      topic,
    );
  }
  return starts;
}
