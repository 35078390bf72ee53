import { loadKoffi } from '../library.ts';

/** An array of pointers to texts, with a null pointer at its end, as execve(2) has it. Keeps what it points to alive. */
export class TextList {
  readonly pointers: Buffer;
  readonly kept: readonly Buffer[];

  constructor(texts: readonly string[]) {
    this.kept = texts.map((text) => Buffer.from(`${text}\0`));
    this.pointers = Buffer.alloc((texts.length + 1) * 8);
    this.kept.forEach((text, index) => this.pointers.writeBigUInt64LE(loadKoffi().address(text), index * 8));
  }
}
