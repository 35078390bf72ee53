import { groupSteps } from './cut.ts';
import type { Part, Series, Step } from './step.ts';

/** What is cut into packets by itself: a series, or the steps between two. */
export type Segment = Series | readonly Step[];

/** Tells the two apart. */
export function isSeries(segment: Segment): segment is Series {
  return 'kind' in segment;
}

/**
 * The segments of a program with series. Undefined where one of them cannot be by itself, because what comes before and behind shares
 * a structure that is written, or because the answer is not in the last: its steps are then cut like any others.
 */
export function segmentParts(
  parts: readonly Part[],
  firstAnswer: (steps: readonly Step[]) => number,
): Segment[] | undefined {
  const segments: (Series | Step[])[] = [];
  for (const part of parts) {
    const last = segments.at(-1);
    if (part.kind === 'series') segments.push(part);
    else if (Array.isArray(last)) last.push(part);
    else segments.push([part]);
  }
  const steps = segments.flatMap((segment) => (isSeries(segment) ? segment.template : segment));
  const starts = new Set(groupSteps(steps, firstAnswer(steps)).map(({ from }) => from));
  let at = 0;
  for (const segment of segments) {
    if (!starts.has(at)) return undefined;
    at += isSeries(segment) ? segment.template.length : segment.length;
  }
  return Array.isArray(segments.at(-1)) ? segments : undefined;
}
