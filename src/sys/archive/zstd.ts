import { TsrunError } from '../../errors.ts';
import { loadKoffi, openLibrary } from '../library.ts';

/** The one soname of every version 1. */
const LIBRARY = 'libzstd.so.1';
const OUTPUT_BYTES = 256 * 1024;

interface Functions {
  create(): unknown;
  free(context: unknown): number;
  decompress(
    context: unknown,
    output: Uint8Array,
    outputSize: number,
    outputPosition: BigUint64Array,
    input: Uint8Array,
    inputSize: number,
    inputPosition: BigUint64Array,
  ): number | bigint;
  isError(result: number | bigint): number;
  errorName(result: number | bigint): string;
}

/**
 * Decompresses frames of zstd piece by piece; the memory that a frame may ask for is bounded by libzstd (a window of 128 MiB).
 * Errors of its methods: `unsupported` without libzstd, `bundle` for what is no such frame. Source: zstd.h, "Streaming decompression".
 */
export class ZstdDecompressor implements Disposable {
  readonly #functions = load();
  #context: unknown = this.#functions.create();
  #pending = 0;

  /** What comes of some more bytes: pieces that are the caller's. */
  *push(input: Buffer): Generator<Buffer> {
    const inputPosition = new BigUint64Array(1);
    for (;;) {
      const output = Buffer.allocUnsafe(OUTPUT_BYTES);
      const outputPosition = new BigUint64Array(1);
      const result = this.#functions.decompress(
        this.#context,
        ...([output, output.length, outputPosition, input, input.length, inputPosition] as const),
      );
      if (this.#functions.isError(result) !== 0)
        throw new TsrunError('bundle', `decompress: ${this.#functions.errorName(result)}`);
      this.#pending = Number(result);
      const length = Number(outputPosition[0]);
      if (length > 0) yield output.subarray(0, length);
      // A full output says that there may be more of it.
      if (Number(inputPosition[0]) === input.length && length < output.length) return;
    }
  }

  /** Whether the last frame was whole. */
  get isComplete(): boolean {
    return this.#pending === 0;
  }

  [Symbol.dispose](): void {
    if (this.#context !== undefined) this.#functions.free(this.#context);
    this.#context = undefined;
  }
}

function load(): Functions {
  let library: ReturnType<ReturnType<typeof loadKoffi>['load']>;
  try {
    library = openLibrary([LIBRARY]);
  } catch (cause) {
    throw new TsrunError('unsupported', `decompress zstd: needs ${LIBRARY}, which is not installed (libzstd1)`, {
      cause,
    });
  }
  const call =
    '(void *context, void *output, size_t outputSize, uint64_t *outputPosition, const void *input, size_t inputSize, uint64_t *inputPosition)';
  return {
    create: library.func('void *ZSTD_createDCtx()'),
    free: library.func('size_t ZSTD_freeDCtx(void *context)'),
    decompress: library.func(
      `size_t ZSTD_decompressStream_simpleArgs${call}`.replaceAll('uint64_t *', '_Inout_ uint64_t *'),
    ),
    isError: library.func('unsigned int ZSTD_isError(size_t result)'),
    errorName: library.func('const char *ZSTD_getErrorName(size_t result)'),
  };
}
