import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { TsrunError, type ErrorCode } from '../../errors.ts';

/** What a file has to be for `readBounded`, and how it is refused otherwise. */
export interface ReadOptions {
  /** More than this is refused, not cut off. */
  readonly limitBytes: number;
  /** Refuse what is no plain file, such as a pipe that nobody writes to, or a symlink: for files that only tsrun writes. */
  readonly plain: boolean;
  /** Of the failure when it is too long or no plain file. */
  readonly code: ErrorCode;
  /** What the messages call the file. Default: its path. */
  readonly shown?: string;
}

/**
 * The whole of a file that somebody else may have made: however long it is, no more than the limit is held in memory.
 *
 * Errors: those of open(2) and read(2) as Node has them; `code` when it is too long or no plain file.
 */
export function readBounded(path: string, options: ReadOptions): Buffer {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const fd = openSync(path, options.plain ? O_RDONLY | O_NONBLOCK | O_NOFOLLOW : O_RDONLY);
  try {
    if (options.plain && !fstatSync(fd).isFile())
      throw new TsrunError(options.code, `read ${JSON.stringify(options.shown ?? path)}: it is no plain file`);
    return readAll(fd, path, options);
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, path: string, { limitBytes, code, shown = path }: ReadOptions): Buffer {
  const parts: Buffer[] = [];
  for (let length = 0; ;) {
    const count = readSync(fd, CHUNK, 0, CHUNK.length, null);
    if (count === 0) return Buffer.concat(parts, length);
    length += count;
    if (length > limitBytes)
      throw new TsrunError(code, `read ${JSON.stringify(shown)}: it is too long, wanted at most ${limitBytes}`);
    parts.push(Buffer.from(CHUNK.subarray(0, count)));
  }
}

/** Filled for each read and taken over at once. */
const CHUNK = Buffer.allocUnsafeSlow(64 * 1024);
