import { duplicateAbove, setNonBlocking, type OwnedFd } from '../sys/fd.ts';
import { openPeer, setWindowSize } from '../sys/tty.ts';
import { type Check, CHECKS, either } from './check.ts';
import type { ProcessStreams, StreamMaker } from './stdio.ts';
import type { DescriptorReadable, DescriptorWritable } from './streams.ts';

/**
 * Who gets the console of a program with a terminal: the one that listens at a unix socket (an absolute path), or a function that is called
 * with the descriptor of its master, which is the function's to close. Default: the streams of the handle.
 */
export type ConsoleOption = string | ((descriptor: number) => void);

/** In characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Says what `console` may be. */
export const checkConsole: Check = either(CHECKS.path, CHECKS.function);

/** Says what the size of a terminal may be. */
export const checkSize: Check = (value) => {
  const { columns, rows } = (value ?? {}) as Partial<TerminalSize>;
  const isSide = (side: unknown): boolean =>
    Number.isSafeInteger(side) && (side as number) >= 0 && (side as number) <= 0xffff;
  return isSide(columns) && isSide(rows) ? undefined : 'an object with columns and rows, 0 to 65535 each';
};

/** The terminal of a program, as a pair of streams once it is connected. */
export class Terminal implements ProcessStreams, Disposable {
  stdin: DescriptorWritable | null = null;
  stdout: DescriptorReadable | null = null;
  readonly stderr = null;
  readonly #master: OwnedFd;
  /** While this end is open a program that has closed its last descriptor of the terminal can open it again. */
  readonly #peer: OwnedFd | undefined;

  /** `master` remains its owner's. */
  constructor(master: OwnedFd) {
    this.#master = duplicateAbove(master.number, 3);
    setNonBlocking(master.number);
    this.#peer = openPeer(master.number);
  }

  /** Makes the streams. The program has not been waited for. */
  connect({ DescriptorReadable, DescriptorWritable }: StreamMaker): void {
    this.stdin = new DescriptorWritable(duplicateAbove(this.#master.number, 3));
    this.stdout = new DescriptorReadable(duplicateAbove(this.#master.number, 3));
  }

  /** Nothing happens once the program has ended. Errors: `host`. */
  resize(size: TerminalSize): void {
    if (this.#master.isOpen) setWindowSize(this.#master.number, size);
  }

  /** The program has ended: what it wrote can still be read. */
  end(): void {
    this.#peer?.close();
    this.#master.close();
    this.stdin?.destroy();
  }

  [Symbol.dispose](): void {
    this.end();
    this.stdout?.destroy();
  }
}
