import { readText } from '../bytes.ts';
import { LAYOUT } from '../layout.ts';

const START = LAYOUT.memory.address;
const SIZE = LAYOUT.bulk.address + LAYOUT.bulk.size - START;
/** Memory and message; bulk is only made when something touches it. */
const SMALL_SIZE = LAYOUT.bulk.address - START;
/** PATH_MAX of the kernel. */
const TEXT_LIMIT = 4096;

/** An access outside init's memory: EFAULT for the kernel, the end of the process for init itself. */
export class MemoryFault extends Error {
  readonly address: bigint;

  constructor(address: bigint) {
    super(`no memory at 0x${address.toString(16)}`);
    this.address = address;
  }
}

/** The memory of a simulated init process, by absolute address. Every method throws a MemoryFault outside of it. */
export class ModelMemory {
  #bytes = new Uint8Array(SMALL_SIZE);

  /** The 8 bytes at an address, from 0 to 2^64 - 1. */
  readWord(address: bigint): bigint {
    return this.#viewOf(address, 8).getBigUint64(0, true);
  }

  writeWord(address: bigint, value: bigint): void {
    this.#viewOf(address, 8).setBigUint64(0, BigInt.asUintN(64, value), true);
  }

  readNumber(address: bigint, size: 1 | 2 | 4): number {
    const view = this.#viewOf(address, size);
    if (size === 1) return view.getUint8(0);
    return size === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
  }

  /** A copy of the bytes. */
  read(address: bigint, size: number): Uint8Array {
    return this.#slice(address, size).slice();
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#slice(address, bytes.length).set(bytes);
  }

  /** The NUL-terminated text at an address; bytes that are not UTF-8 give an empty text. */
  readText(address: bigint): string {
    const rest = this.#slice(address, 1, TEXT_LIMIT);
    const end = rest.indexOf(0);
    return readText(end < 0 ? rest : rest.subarray(0, end)) ?? '';
  }

  #viewOf(address: bigint, size: number): DataView {
    const bytes = this.#slice(address, size);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** At least `size` bytes, and up to `limit` when there are more. */
  #slice(address: bigint, size: number, limit = size): Uint8Array {
    const offset = address - BigInt(START);
    if (offset < 0n || offset + BigInt(size) > BigInt(SIZE)) throw new MemoryFault(address);
    const end = Math.min(Number(offset) + limit, SIZE);
    if (end > this.#bytes.length) this.#grow();
    return this.#bytes.subarray(Number(offset), end);
  }

  #grow(): void {
    const bytes = new Uint8Array(SIZE);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
