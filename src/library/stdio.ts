import { fchmodSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { Stdio } from '../container/store/options.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { pipe } from '../sys/pipe.ts';
import { O_RDWR } from '../util/constants.ts';
import type { Check } from './check.ts';
import type { DescriptorReadable, DescriptorWritable } from './streams.ts';

/**
 * What one of the program's standard descriptors is: this process's own (`inherit`), /dev/null (`ignore`), a pipe whose other end is a
 * stream of the handle (`pipe`), a descriptor, or a stream. A stream that has a descriptor (`fd`) lends it; between others and the program
 * there is a pipe.
 */
export type StdioOption = 'inherit' | 'ignore' | 'pipe' | number | Readable | Writable;

/** One for all three, or one each for input, output and error; what is left out is `ignore`. */
export type StdioOptions = StdioOption | readonly (StdioOption | undefined)[];

/** What makes streams of descriptors. It is loaded where there are any: it takes the engine of the executable some time. */
export type StreamMaker = typeof import('./streams.ts');

/** Whether a program is to have pipes, and this side streams. */
export function hasPipes(options: StdioOptions = 'ignore'): boolean {
  return listOf(options).some((option) => option !== undefined && needsPipe(option));
}

/** The streams of a process whose other ends are pipes; null for those that are not. */
export interface ProcessStreams {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
}

/** Says what `stdio` may be. */
export const checkStdio: Check = (value) => {
  const all = Array.isArray(value) ? value : [value];
  const isOne = (one: unknown): boolean =>
    one === undefined || ['inherit', 'ignore', 'pipe'].includes(one as string) || isDescriptor(one) || isStream(one);
  return all.length <= 3 && all.every(isOne)
    ? undefined
    : '"inherit", "ignore", "pipe", a descriptor or a stream, or a list of up to three';
};

/** The standard descriptors of one program, and this side's ends of its pipes. */
export class ProgramStdio implements ProcessStreams, Disposable {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** What the program gets. */
  readonly descriptors: Stdio;
  /** The program's ends, closed when it has them. */
  readonly #theirs: OwnedFd[] = [];
  /** Ours that lead from and to streams of the caller. */
  readonly #fed: DescriptorWritable[] = [];
  readonly #carried: DescriptorReadable[] = [];
  readonly #maker: StreamMaker | undefined;

  /** `maker` is for what has pipes. */
  constructor(options: StdioOptions = 'ignore', maker?: StreamMaker) {
    this.#maker = maker;
    const [input = 'ignore', output = 'ignore', error = 'ignore'] = listOf(options);
    const made = [this.#input(input), this.#output(output, 1), this.#output(error, 2)] as const;
    this.descriptors = [made[0].fd, made[1].fd, made[2].fd];
    this.stdin = made[0].stream;
    this.stdout = made[1].stream;
    this.stderr = made[2].stream;
  }

  /** The program has its ends: ours are over when nobody has them any more. */
  closeTheirs(): void {
    for (const fd of this.#theirs.splice(0)) fd.close();
  }

  /** Resolves when all that the program wrote has gone on to the streams of the caller. */
  async carried(): Promise<void> {
    for (const stream of this.#carried)
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  }

  /** There is no program. */
  [Symbol.dispose](): void {
    this.closeTheirs();
    for (const stream of [this.stdin, this.stdout, this.stderr, ...this.#fed, ...this.#carried]) stream?.destroy();
  }

  #input(option: StdioOption): { fd: number; stream: DescriptorWritable | null } {
    const fd = this.#plain(option, 0);
    if (fd !== undefined) return { fd, stream: null };
    const [theirs, ours] = makePipe();
    const stream = new (this.#streams().DescriptorWritable)(ours);
    this.#theirs.push(theirs);
    if (option === 'pipe') return { fd: theirs.number, stream };
    // A program need not read its input.
    const source = option as Readable;
    stream.on('error', () => source.unpipe(stream));
    this.#fed.push(stream);
    source.pipe(stream);
    return { fd: theirs.number, stream: null };
  }

  #output(option: StdioOption, number: 1 | 2): { fd: number; stream: DescriptorReadable | null } {
    const fd = this.#plain(option, number);
    if (fd !== undefined) return { fd, stream: null };
    const [ours, theirs] = makePipe();
    const stream = new (this.#streams().DescriptorReadable)(ours);
    this.#theirs.push(theirs);
    if (option === 'pipe') return { fd: theirs.number, stream };
    this.#carried.push(stream);
    // The caller may have more to write to it.
    stream.pipe(option as Writable, { end: false });
    return { fd: theirs.number, stream: null };
  }

  #streams(): StreamMaker {
    if (this.#maker === undefined) throw new Error('bug: there are pipes, and nothing that makes streams of them');
    return this.#maker;
  }

  /** Undefined for what needs a pipe. */
  #plain(option: StdioOption, number: number): number | undefined {
    if (needsPipe(option)) return undefined;
    if (option === 'inherit') return number;
    if (typeof option === 'number') return option;
    if (typeof option === 'object') return (option as { readonly fd?: number }).fd;
    const nothing = openFile('/dev/null', O_RDWR);
    this.#theirs.push(nothing);
    return nothing.number;
  }
}

/** One for each descriptor. */
function listOf(options: StdioOptions): readonly (StdioOption | undefined)[] {
  return Array.isArray(options)
    ? (options as readonly (StdioOption | undefined)[])
    : ([options, options, options] as readonly StdioOption[]);
}

function needsPipe(option: StdioOption): boolean {
  if (typeof option === 'object') return !isDescriptor((option as { readonly fd?: unknown }).fd);
  return option === 'pipe';
}

/** Whoever the program runs as may open /dev/stdout anew. */
function makePipe(): [reader: OwnedFd, writer: OwnedFd] {
  const ends = pipe();
  fchmodSync(ends[0].number, 0o666);
  return ends;
}

function isDescriptor(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isStream(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { pipe?: unknown }).pipe === 'function';
}
