import { Measure, visitItems, visitTree, type Item } from './items.ts';
import { LAYOUT, OPERATION_SIZE, PACKET_HEADER_SIZE } from './layout.ts';
import type { Block, Step } from './step.ts';

/** Steps from the index `from` to before the index `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where a program is divided into packets, as indexes of its steps. */
export interface Cuts {
  /** One range for each packet, in order. */
  readonly ranges: readonly Range[];
  /** The ranges whose data lies in bulk. */
  readonly bulk: readonly Range[];
}

/** The operation that asks for the next packet, and its word. */
const MORE_SIZE = OPERATION_SIZE + 8;

/**
 * Divides a program into packets: one where everything fits, else at the places that FORMAT.md allows, as late as
 * possible; never behind the step with the index `answer`. Data of steps that hold together and do not fit goes to bulk.
 * Throws a RangeError when the operations of such steps alone do not fit.
 */
export function cutProgram(steps: readonly Step[], answer = -1): Cuts {
  if (fitsWhole(steps)) return { ranges: [{ from: 0, to: steps.length }], bulk: [] };

  const capacity = LAYOUT.message.size - MORE_SIZE;
  const groups = groupSteps(steps, answer);
  const bulk = groups.filter(({ from, to }) => packetSize(to - from, measure(steps, { from, to })) > capacity);
  const inBulk = new Measure();
  for (const range of bulk) addRange(inBulk, steps, range);
  return { ranges: joinGroups(steps, groups, { capacity, inBulk }), bulk };
}

function fitsWhole(steps: readonly Step[]): boolean {
  const data = new Measure();
  // Where the operations alone are too many, as in all long programs, nothing has to be measured.
  if (packetSize(steps.length, data) > LAYOUT.message.size) return false;
  for (const step of steps) data.addStep(step);
  return packetSize(steps.length, data) <= LAYOUT.message.size;
}

/** Bytes of a packet without a request for more. */
export function packetSize(steps: number, data: Measure): number {
  return PACKET_HEADER_SIZE + steps * OPERATION_SIZE + data.bytes;
}

function measure(steps: readonly Step[], range: Range, elsewhere?: Measure): Measure {
  const result = new Measure(elsewhere);
  addRange(result, steps, range);
  return result;
}

function addRange(target: Measure, steps: readonly Step[], { from, to }: Range): void {
  for (const step of steps.slice(from, to)) target.addStep(step);
}

/** Fills one packet after the other with groups. */
function joinGroups(
  steps: readonly Step[],
  groups: readonly Range[],
  { capacity, inBulk }: { capacity: number; inBulk: Measure },
): Range[] {
  const ranges: Range[] = [];
  let from = 0;
  let filled = new Measure(inBulk);
  for (const group of groups) {
    addRange(filled, steps, group);
    if (packetSize(group.to - from, filled) <= capacity) continue;
    if (group.from > from) ranges.push({ from, to: group.from });
    from = group.from;
    filled = measure(steps, group, inBulk);
    if (packetSize(group.to - from, filled) > capacity)
      throw new RangeError(
        `bug: the ${group.to - from} steps from ${JSON.stringify(steps[from]?.label)} do not fit into a packet`,
      );
  }
  ranges.push({ from, to: steps.length });
  return ranges;
}

/**
 * The smallest ranges that a packet may hold: the span of a check, what is repeated with the check that says so, the steps that share
 * what one of them writes, and the answer with all behind it: who has the answer waits for no request for more.
 */
export function groupSteps(steps: readonly Step[], answer: number): Range[] {
  /** For each step, the last one that it holds together with. */
  const lasts = steps.map((step, index) =>
    step.kind === 'check' && 'skip' in step.then ? Math.min(index + step.then.skip, steps.length - 1) : index,
  );
  steps.forEach((step, index) => {
    if (step.kind !== 'check' || !('repeat' in step.then)) return;
    const first = Math.max(index - step.then.repeat, 0);
    lasts[first] = Math.max(lasts[first] ?? first, index);
  });
  for (const { first, last } of writtenBlocks(steps)) lasts[first] = Math.max(lasts[first] ?? first, last);
  if (answer >= 0) lasts[answer] = steps.length - 1;
  const groups: Range[] = [];
  let from = 0;
  let last = 0;
  lasts.forEach((reach, index) => {
    last = Math.max(last, reach);
    if (index < last) return;
    groups.push({ from, to: index + 1 });
    from = index + 1;
    last = from;
  });
  return groups;
}

interface Use {
  readonly first: number;
  last: number;
}

/** The first and the last use of every structure that a step writes. Most programs have none, and are not looked through for them. */
function writtenBlocks(steps: readonly Step[]): Iterable<Use> {
  const uses = new Map<Block, Use | undefined>();
  const noteWritten = (item: Item, written: boolean): void => {
    if (!written || typeof item === 'string') return;
    visitTree(item, (block) => uses.set(block, undefined));
  };
  for (const step of steps) visitItems(step, noteWritten);
  if (uses.size === 0) return [];
  steps.forEach((step, index) => {
    visitItems(step, (item) => {
      if (typeof item === 'string') return;
      visitTree(item, (block) => {
        if (!uses.has(block)) return;
        const use = uses.get(block);
        if (use === undefined) uses.set(block, { first: index, last: index });
        else use.last = index;
      });
    });
  });
  return [...uses.values()].filter((use) => use !== undefined);
}
