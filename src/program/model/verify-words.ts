import { describePlace } from '../build.ts';
import { visitTree } from '../items.ts';
import type { Block, Operand, Place, Region, Step } from '../step.ts';

/**
 * The flaws in how the steps share init's memory: two regions with one name, regions that overlap (but for slots of the stack), and, when the regions
 * are `known` that earlier programs have written, the value of a region that nothing has written yet.
 */
export function verifyWords(steps: readonly Step[], known: ReadonlySet<Region> | undefined): string[] {
  const flaws: string[] = [];
  const regions = new Set<Region>(known);
  const written = new Set<Region>(known);
  steps.forEach((step, index) => {
    const uses = usesOf(step);
    if (known !== undefined)
      for (const region of uses.read)
        if (!written.has(region))
          flaws.push(`step ${index} (${step.label}): ${region.name} is read before anything has written it`);
    for (const region of uses.written) written.add(region);
    for (const region of [...uses.read, ...uses.written]) regions.add(region);
  });
  return [...flaws, ...verifyNames(regions)];
}

/** The regions that receive a result, or whose address the kernel is given. */
export function writtenRegions(steps: readonly Step[]): Set<Region> {
  return new Set(steps.flatMap((step) => [...usesOf(step).written]));
}

interface Uses {
  readonly read: Set<Region>;
  /** Regions that receive the result, or whose address the kernel is given. */
  readonly written: Set<Region>;
}

function usesOf(step: Step): Uses {
  const uses: Uses = { read: new Set(), written: new Set() };
  if (step.kind === 'call') {
    for (const operand of step.operands) addOperand(operand, uses);
    if (step.result !== undefined) addWritten(step.result, uses);
  } else {
    addOperand(step.condition.value, uses);
    addOperand(step.condition.wanted, uses);
  }
  return uses;
}

function addOperand(operand: Operand, uses: Uses): void {
  if (typeof operand !== 'object') return;
  if (operand.kind === 'region') uses.read.add(operand);
  else if (operand.kind === 'block') addLinked(operand, uses);
  else if (operand.of.kind === 'block') addLinked(operand.of, uses);
  else if (operand.kind === 'place') uses.read.add(operand.of);
  else uses.written.add(operand.of);
}

function addLinked(block: Block, uses: Uses): void {
  visitTree(block, ({ links }) => {
    for (const { to } of links) if (to.kind === 'region') uses.written.add(to);
  });
}

function addWritten(place: Region | Place, uses: Uses): void {
  if (place.kind === 'region') uses.written.add(place);
  else if (place.of.kind === 'region') uses.written.add(place.of);
}

function verifyNames(regions: ReadonlySet<Region>): string[] {
  const flaws: string[] = [];
  const sorted = [...regions].sort((a, b) => a.offset - b.offset);
  const names = new Map<string, Region>();
  sorted.forEach((region, index) => {
    const previous = sorted[index - 1];
    if (previous !== undefined && previous.offset + previous.size > region.offset && !isSameSlot(previous, region))
      flaws.push(`${describePlace(previous)} and ${describePlace(region)} overlap`);
    const other = names.get(region.name);
    if (other !== undefined && !(other.isScoped === true && region.isScoped === true))
      flaws.push(`two regions have the name ${JSON.stringify(region.name)}`);
    names.set(region.name, region);
  });
  return flaws;
}

/** One slot of the stack, for handles that follow each other. */
function isSameSlot(one: Region, other: Region): boolean {
  return one.isScoped === true && other.isScoped === true && one.offset === other.offset;
}
