import { fstatSync, readSync } from 'node:fs';
import type { OwnedFd } from '../sys/fd.ts';

/** The file comes from the image: more than this of it is not read. */
const LIMIT_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

/**
 * The first answer that is not undefined when the lines of a file are shown, many at a time. Undefined for what is no regular file.
 *
 * Piece by piece, so that a line behind many others is found and a long file takes little memory. Errors: those of Node.
 */
export function findInLines<Found>(file: OwnedFd, find: (lines: string) => Found | undefined): Found | undefined {
  const stat = fstatSync(file.number);
  if (!stat.isFile()) return undefined;
  // Most are short: a byte more than there is tells the end. Those of /proc say that they are empty.
  const buffer = Buffer.allocUnsafe(stat.size === 0 ? PIECE_BYTES : Math.min(PIECE_BYTES, stat.size + 1));
  let kept = 0;
  for (let left = LIMIT_BYTES; left > 0;) {
    const count = readSync(file.number, buffer, kept, Math.min(buffer.length - kept, left), null);
    left -= count;
    const length = kept + count;
    // The rest of a line that is not whole waits for the next piece; one that fills a piece is no line.
    const end = count === 0 || left === 0 ? length : buffer.lastIndexOf('\n', length - 1) + 1;
    const found = find(buffer.toString('utf8', 0, end));
    if (found !== undefined) return found;
    if (count === 0) break;
    kept = end === 0 && length === buffer.length ? 0 : buffer.copy(buffer, 0, end, length);
  }
  return undefined;
}
