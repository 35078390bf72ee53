import { utf8 } from '../util/utf8.ts';
import { alignUp } from './bytes.ts';
import { CALLS } from './calls.ts';
import type { Block, Operand, Step } from './step.ts';

/** What travels as data behind the operations: the text of an operand, or a structure. */
export type Item = string | Block;

/** The items that a step names, without those that they link to. `written`: the step may change the item. */
export function visitItems(step: Step, visit: (item: Item, written: boolean) => void): void {
  if (step.kind === 'call') {
    const { parameters } = CALLS[step.call];
    for (let index = 0; index < step.operands.length; index++) {
      const operand = step.operands[index];
      // Most operands are numbers and words, which are no items.
      if (operand === undefined || typeof operand === 'number') continue;
      visitOperand(operand, parameters[index]?.isWritten === true, visit);
    }
    if (step.result !== undefined) visitOperand(step.result, true, visit);
  } else {
    visitOperand(step.condition.value, false, visit);
    visitOperand(step.condition.wanted, false, visit);
  }
}

function visitOperand(operand: Operand, written: boolean, visit: (item: Item, written: boolean) => void): void {
  if (typeof operand === 'string') visit(operand, false);
  else if (typeof operand === 'object') {
    const block = operand.kind === 'place' || operand.kind === 'address' ? operand.of : operand;
    if (block.kind === 'block') visit(block, written);
  }
}

/** A block and the blocks that it links to, each once. */
export function visitTree(block: Block, visit: (block: Block) => void, seen = new Set<Block>()): void {
  if (seen.has(block)) return;
  seen.add(block);
  visit(block);
  for (const { to } of block.links) if (to.kind === 'block') visitTree(to, visit, seen);
}

/** Adds up the bytes that items take, each item once, aligned and with everything that it links to. */
export class Measure {
  readonly #seen: Set<Item>;
  #bytes = 0;

  /** `elsewhere`: items that cost nothing here, because they lie in another area. */
  constructor(elsewhere?: Measure) {
    this.#seen = new Set(elsewhere === undefined ? [] : elsewhere.#seen);
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(item: Item): void {
    if (this.#seen.has(item)) return;
    this.#seen.add(item);
    this.#bytes += alignUp(typeof item === 'string' ? utf8(item).length + 1 : item.bytes.length);
    if (typeof item === 'string') return;
    for (const { to } of item.links) if (to.kind === 'block') this.add(to);
  }

  addStep(step: Step): void {
    visitItems(step, (item) => {
      this.add(item);
    });
  }
}
