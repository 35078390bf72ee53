import { refuse } from './refuse.ts';

/** How much an image may be, given or derived. */
export interface BoundOptions {
  /** Bytes of all layers, unpacked. */
  readonly maxSize?: number | undefined;
  readonly maxEntries?: number | undefined;
  readonly freeBytes: number;
  /** Bytes of all layers as they are stored. */
  readonly storedBytes: number;
}

const TIMES = 10;
const EXTRA_BYTES = 1024 ** 3;
const MAX_ENTRIES = 2_000_000;
/** Images have a dozen at most. */
const MAX_DEVICES = 1024;
/** The names of one layer are held in memory where it hides others: half a gigabyte would be that many long ones. */
const MAX_NAME_BYTES = 256 * 1024 * 1024;

/** Counts what an image unpacks to, while it does. Errors of its methods: `bundle`, at the first thing too much. */
export class Bounds {
  readonly #maxSize: number;
  readonly #freeBytes: number;
  readonly #maxEntries: number;
  #bytes = 0;
  #entries = 0;
  #devices = 0;
  #nameBytes = 0;

  constructor({ maxSize, maxEntries = MAX_ENTRIES, freeBytes, storedBytes }: BoundOptions) {
    this.#maxSize = maxSize ?? TIMES * storedBytes + EXTRA_BYTES;
    this.#freeBytes = freeBytes;
    this.#maxEntries = maxEntries;
  }

  /** Bytes of an archive, headers and padding as well. */
  addBytes(count: number): void {
    this.#bytes += count;
    if (this.#bytes > this.#maxSize) throw refuse(`it has more than ${this.#maxSize} bytes; to allow more: --max-size`);
    if (this.#bytes > this.#freeBytes)
      throw refuse(`it has more than the ${this.#freeBytes} bytes that are free there`);
  }

  addEntry(): void {
    this.#entries += 1;
    if (this.#entries > this.#maxEntries)
      throw refuse(`it has more than ${this.#maxEntries} entries; to allow more: --max-entries`);
  }

  addDevice(): void {
    this.#devices += 1;
    if (this.#devices > MAX_DEVICES) throw refuse(`it has more than ${MAX_DEVICES} devices`);
  }

  addName(length: number): void {
    this.#nameBytes += length;
    if (this.#nameBytes > MAX_NAME_BYTES) throw refuse(`it has names of more than ${MAX_NAME_BYTES} bytes`);
  }
}
