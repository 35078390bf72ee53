import { writeUtf8 } from '../util/utf8.ts';
import { alignUp, writeWord } from './bytes.ts';
import type { Item } from './items.ts';
import { LAYOUT } from './layout.ts';
import type { Block, Region } from './step.ts';

/** What is to be placed does not fit. */
export class AreaFull extends Error {}

/** A stretch of init's memory that is being filled with texts and structures. */
export class DataArea {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  readonly #elsewhere: DataArea | undefined;
  readonly #addresses = new Map<Item, number>();
  #next: number;

  /**
   * `bytes` will lie at the address `base`; items are placed from the offset `start`. An item that lies in the area
   * `elsewhere` is not placed again.
   */
  constructor(bytes: Uint8Array, options: { base: number; start: number; elsewhere?: DataArea | undefined }) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = options.base;
    this.#next = options.start;
    this.#elsewhere = options.elsewhere;
  }

  /** The offset behind the last item, bytes. */
  get end(): number {
    return this.#next;
  }

  /** The address of an item, which is placed when it is new: the same text or block has one address. */
  addressOf(item: Item): number {
    return this.#elsewhere?.find(item) ?? this.find(item) ?? this.#place(item);
  }

  /** The address of an item that has been placed. */
  find(item: Item): number | undefined {
    return this.#addresses.get(item);
  }

  #place(item: Item): number {
    const offset = this.#next;
    const address = this.#base + offset;
    this.#addresses.set(item, address);
    if (typeof item === 'string') {
      if (item.includes('\0')) throw new RangeError(`bug: the text ${JSON.stringify(item)} has a NUL`);
      const length = writeUtf8(this.#bytes, offset, item);
      if (length === undefined) throw new AreaFull();
      this.#take(length + 1);
    } else {
      this.#take(item.bytes.length);
      this.#bytes.set(item.bytes, offset);
      this.#writeLinks(item, offset);
    }
    return address;
  }

  #take(bytes: number): void {
    this.#next += alignUp(bytes);
    if (this.#next > this.#bytes.length) throw new AreaFull();
  }

  #writeLinks(block: Block, offset: number): void {
    for (const { at, to } of block.links) {
      if (at < 0 || at + 8 > block.bytes.length) throw new RangeError(`bug: a link at ${at} is outside ${block.text}`);
      writeWord(this.#view, offset + at, to.kind === 'region' ? regionAddress(to) : this.addressOf(to));
    }
  }
}

/** The absolute address of a region. */
export function regionAddress(region: Region): number {
  return LAYOUT.memory.address + region.offset;
}
