import { alignUp, readText, writeWord } from './bytes.ts';
import type { Arch } from './calls.ts';
import { Measure, visitItems, visitTree, type Item } from './items.ts';
import { LAYOUT, OFFSETS, OPERATION_SIZE, PACKET_HEADER_SIZE } from './layout.ts';
import { writePacket } from './encode-operations.ts';
import { hasMark, numberAt, withValues } from './series.ts';
import type { Operand, Series, SeriesValue, Step } from './step.ts';
import { translateSteps } from './open-flags.ts';

/** What differs in the bytes of one item's operations: where it lies in them, and the text that it is the address of, or the number. */
interface Slot {
  readonly offset: number;
  readonly value: (values: readonly SeriesValue[]) => SeriesValue;
}

/** Items of a series for one packet, and what comes behind them. */
export interface SeriesRange {
  readonly from: number;
  readonly to: number;
  readonly added: readonly Step[];
  /** Number of the packet, or the will. */
  readonly mark: number;
}

/** Writes packets for the items of a series, from the operations of one of them. */
export class SeriesEncoder {
  readonly #series: Series;
  readonly #template: readonly Step[];
  readonly #slots: readonly Slot[];
  readonly #arch: Arch;
  /** Bytes of the data that all items share, and no more than that. */
  readonly #shared: number;

  constructor(series: Series, arch: Arch) {
    this.#series = series;
    this.#arch = arch;
    this.#template = translateSteps(series.template, arch);
    this.#slots = findSlots(this.#template);
    const shared = new Measure();
    for (const step of this.#template) shared.addStep(step);
    this.#shared = shared.bytes;
  }

  /** Steps of an item. */
  get length(): number {
    return this.#template.length;
  }

  /** How many items from one on fit into a packet together with the steps `added`. */
  fitting(from: number, added: readonly Step[]): number {
    const { count, values } = this.#series;
    const extra = new Measure();
    for (const step of added) extra.addStep(step);
    let room = LAYOUT.message.size - PACKET_HEADER_SIZE - this.#shared - extra.bytes - added.length * OPERATION_SIZE;
    let index = from;
    for (; index < count; index++) {
      room -= this.length * OPERATION_SIZE + this.#textBytes(values(index));
      if (room < 0) break;
    }
    return index - from;
  }

  /** The bytes of the items from `from` to before `to`, and of the steps `added` behind them. */
  encode({ from, to, added, mark }: SeriesRange): Uint8Array {
    const { values } = this.#series;
    const size = this.length * OPERATION_SIZE;
    const count = (to - from) * this.length + added.length;
    const options = { count, arch: this.#arch, mark, base: LAYOUT.message.address, bulk: undefined };
    return writePacket(options, (writer) => {
      writer.write(withOwn(this.#template, values(from)));
      const { bytes, halves, view, area } = writer;
      for (let index = from + 1; index < to; index++) {
        const at = writer.skip(size);
        bytes.copyWithin(at, PACKET_HEADER_SIZE, PACKET_HEADER_SIZE + size);
        const own = values(index);
        for (const { offset, value } of this.#slots) {
          const operand = value(own);
          if (typeof operand === 'bigint') writeWord(view, at + offset, operand);
          else halves[(at + offset) / 4] = typeof operand === 'number' ? operand : area.addressOf(operand);
        }
      }
      writer.write(added);
    });
  }

  /** Not less than the texts of an item take: UTF-8 has at most 3 bytes for a unit of UTF-16. */
  #textBytes(values: readonly SeriesValue[]): number {
    let bytes = 0;
    for (const { value } of this.#slots) {
      const operand = value(values);
      if (typeof operand === 'string') bytes += alignUp(3 * operand.length + 1);
    }
    return bytes;
  }
}

function findSlots(template: readonly Step[]): Slot[] {
  const slots: Slot[] = [];
  template.forEach((step, index) => {
    visitItems(step, refuseMarked);
    const operands = step.kind === 'call' ? step.operands : ['', '', step.condition.wanted];
    operands.forEach((operand, argument) => {
      const value = valueOf(operand);
      if (value !== undefined) slots.push({ offset: index * OPERATION_SIZE + OFFSETS.arguments + argument * 8, value });
    });
  });
  return slots;
}

function valueOf(operand: Operand): Slot['value'] | undefined {
  if (typeof operand === 'string') return withValues(operand);
  if (typeof operand === 'object') return undefined;
  const at = numberAt(operand);
  return at === undefined ? undefined : (values) => values[at] ?? 0;
}

/** In a structure a mark would stay what it is. Items share it, and find what the one before has written. */
function refuseMarked(item: Item, written: boolean): void {
  if (typeof item === 'string') return;
  if (written) throw new RangeError(`bug: a series writes to the structure ${item.text}`);
  visitTree(item, ({ bytes, text }) => {
    if (hasMark(readText(bytes) ?? '')) throw new RangeError(`bug: a series has a mark in the structure ${text}`);
  });
}

function withOwn(template: readonly Step[], values: readonly SeriesValue[]): Step[] {
  const replace = <T extends Operand>(operand: T): T => (valueOf(operand)?.(values) as T | undefined) ?? operand;
  return template.map((step) => {
    if (step.kind === 'call') return { ...step, operands: step.operands.map(replace) };
    return { ...step, condition: { ...step.condition, wanted: replace(step.condition.wanted) } };
  });
}
