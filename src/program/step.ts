import { TsrunError, type StepPurpose } from '../errors.ts';
import type { Errno } from '../util/errno.ts';
import type { Arch, CallName } from './calls.ts';
import { LAYOUT, REPORT_SIZE } from './layout.ts';

/**
 * The vocabulary in which a container's set-up is written.
 *
 * A program is a flat list of steps. A step is one system call (or one check) with a label for people. Its operands are
 * numbers, text, bytes, or *places*: words and buffers in the memory of the init process, known by name here and by
 * address to the encoder. A descriptor that step 3 opens is a word that step 7 passes on.
 */

/** A named stretch of init's persistent memory: a word (8 bytes) or a buffer. */
export interface Region {
  readonly kind: 'region';
  readonly name: string;
  /** Offset in the memory area, bytes, a multiple of 8. */
  readonly offset: number;
  /** Size in bytes, a multiple of 8. */
  readonly size: number;
  /** The slot of a handle that is closed in the program that opens it; behind its scope the slot is another handle's. */
  readonly isScoped?: true;
}

/** A structure that travels with the packet. The same object used by two steps of a program is one structure. */
export interface Block {
  readonly kind: 'block';
  readonly bytes: Uint8Array;
  /** Pointers inside the structure: at `at`, 8 bytes are replaced by the address of `to`. */
  readonly links: readonly Link[];
  /** How the printer shows it, such as `{flags=O_PATH}`. */
  readonly text: string;
}

/** A pointer inside a structure: its offset in bytes, and what it points to. */
export interface Link {
  readonly at: number;
  readonly to: Region | Block;
}

/** Eight bytes at an offset of a region or block. */
export interface Place {
  readonly kind: 'place';
  readonly of: Region | Block;
  readonly offset: number;
}

/** The address of a region or block, as an operand. */
export interface Address {
  readonly kind: 'address';
  readonly of: Region | Block;
  readonly offset: number;
}

/**
 * What a step passes to a call: an immediate number; a string (passed as a pointer to its UTF-8 bytes and a NUL);
 * a block (passed as its address); a region or place (passed as the 8-byte *value* stored there); an address.
 */
export type Operand = number | bigint | string | Block | Region | Place | Address;

interface StepBase {
  /** What is being done, on what, in the words of the failure message: `mount "proc" on "/proc"`. */
  readonly label: string;
  /** JSON pointer into config.json of the property that asked for it. */
  readonly pointer?: string;
  /** Replaces the generated failure message; `{errno}` stands for the errno's name. */
  readonly failure?: string;
  /**
   * Code of its failure: what looks for the program or its directory fails because of the bundle, not because of the host. Default: `step`.
   */
  readonly code?: 'program';
  /** What it is for, where its failure is explained by that. It is not printed. */
  readonly purpose?: StepPurpose;
}

/** One system call. */
export interface CallStep extends StepBase {
  readonly kind: 'call';
  readonly call: CallName;
  readonly operands: readonly Operand[];
  /** Errnos after which the program goes on, at most four, or every one. */
  readonly accept?: readonly Errno[] | 'any';
  /** Where the result goes (negative errno included). */
  readonly result?: Region | Place;
}

/** Holds when `(value & mask) == wanted`, or with `invert` when they differ. */
export interface Condition {
  readonly value: Region | Place;
  readonly mask: bigint;
  readonly wanted: bigint | Region | Place;
  readonly invert: boolean;
  /** For the printer: `rootfs < 0`. */
  readonly text: string;
}

/** The `repeat` steps in front of the check once more, at most `tries` times; when these are used up it is a failure with `fail`. */
export interface Repetition {
  readonly repeat: number;
  readonly tries: number;
  readonly fail: Errno;
}

/** Skips the next `skip` steps, fails with `fail`, or repeats, when its condition holds. */
export interface CheckStep extends StepBase {
  readonly kind: 'check';
  readonly condition: Condition;
  readonly then: { readonly skip: number } | { readonly fail: Errno } | Repetition;
}

/** What programs are made of: there is nothing else that init can do. */
export type Step = CallStep | CheckStep;

/**
 * The same steps for each of many items, such as thousands of masked paths: planned once for a stand-in, which has marks where items
 * differ, and for an item itself only when somebody looks. The encoder copies the bytes of one item to the next (encode-series.ts).
 */
export interface Series {
  readonly kind: 'series';
  /** How many items there are, at least 1. */
  readonly count: number;
  /** The steps of the stand-in. Those of an item differ from them in the marks, and in what people read. */
  readonly template: readonly Step[];
  /** What an item, by its index, has in the place of `mark(0)` and so on, and of numbers in the place of `numberMark` of theirs. */
  readonly values: (index: number) => readonly SeriesValue[];
  /** The steps of an item. */
  readonly plan: (index: number) => readonly Step[];
}

/** A number has at most 32 bits, unless it is a bigint. */
export type SeriesValue = string | number | bigint;

/** What programs are planned of: a series stands for the steps of all its items. */
export type Part = Step | Series;

/** A list of steps that init executes in one go and answers once. */
export interface Program {
  /** What this program as a whole does, for `explain`. */
  readonly name: string;
  readonly steps: readonly Step[];
  /** The same, with series in the place of what they stand for; absent where there are none. */
  readonly parts?: readonly Part[];
  /** False for a program behind which the sync pipe is no longer answered. */
  readonly replies: boolean;
  /** What its answer has to look like. Default: anything. */
  readonly reply?: ReplyForm;
  /** What its steps are about, in order, for `explain`. Default: its name says it. */
  readonly topics?: readonly Topic[];
  /** Its bytes for one kind of init, where they are known without its steps, which are then planned only when somebody looks. */
  readonly encoded?: EncodedProgram;
}

/** A program for inits of an architecture that have the sync pipe at this number. */
export interface EncodedProgram {
  readonly arch: Arch;
  readonly syncFd: number;
  readonly packets: readonly Packet[];
}

/** One datagram of a program. */
export interface Packet {
  /** What is sent, at most 61440 bytes. */
  readonly bytes: Uint8Array;
  /** Operation index -> step index of the program; -1 for operations that the encoder added. Empty for a payload. */
  readonly steps: readonly number[];
  /** Raw data for bulk instead of operations. */
  readonly payload: boolean;
}

/** From a part of a program on, counted from 0, to the next topic. */
export interface Topic {
  readonly name: string;
  readonly part: number;
}

/** The form of an answer: its tag, and how much comes with it. A pair is the fewest and the most. */
export interface ReplyForm {
  readonly tag: bigint;
  /** Words of 8 bytes behind the tag. */
  readonly words: number | readonly [fewest: number, most: number];
  readonly descriptors: number | readonly [fewest: number, most: number];
}

/**
 * Hands out stretches of init's persistent memory. One allocator serves all programs of one conversation.
 *
 *     report | words and buffers, for good ->   free   <- stack of handles, each for its scope
 */
export class Memory {
  /** Offset of the first free byte. */
  #next = REPORT_SIZE;
  /** Offset of the uppermost slot of the stack, and the lowest that this has been. */
  #top: number;
  #lowest: number;

  /** By their keys. */
  readonly #shared = new Map<string, Block>();

  /** `size`: how much of the memory there is for programs, bytes. */
  constructor(size: number = LAYOUT.memory.size) {
    this.#top = size;
    this.#lowest = size;
  }

  /** A word of 8 bytes. */
  word(name: string): Region {
    return this.buffer(name, 8);
  }

  /** A buffer of `size` bytes, rounded up to 8. */
  buffer(name: string, size: number): Region {
    const offset = this.#next;
    const rounded = Math.ceil(size / 8) * 8;
    this.#next += rounded;
    this.#verifyRoom(name);
    return { kind: 'region', name, offset, size: rounded };
  }

  /** A word of the stack for what `use` plans; behind it the word is free for another. */
  withSlot<T>(name: string, use: (slot: Region) => T): T {
    const offset = this.#top - 8;
    this.#top = offset;
    this.#lowest = Math.min(this.#lowest, offset);
    this.#verifyRoom(name);
    const result = use({ kind: 'region', name, offset, size: 8, isScoped: true });
    this.#top = offset + 8;
    return result;
  }

  /** A function that plans something later as now: with the slots that are free now. */
  later<A, T>(plan: (argument: A) => T): (argument: A) => T {
    const top = this.#top;
    return (argument) => {
      const before = this.#top;
      this.#top = top;
      try {
        return plan(argument);
      } finally {
        this.#top = before;
      }
    };
  }

  /**
   * A structure that many steps pass and none has written: made once for all programs of the conversation, and once in each packet.
   * The key says all that it is made of.
   */
  shared(key: string, make: () => Block): Block {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  #verifyRoom(name: string): void {
    if (this.#next <= this.#lowest) return;
    throw new TsrunError(
      'unsupported',
      `init cannot hold so many handles at a time: no room for ${JSON.stringify(name)}`,
    );
  }
}
