import { refuse } from '../refuse.ts';
import { readNumber } from './header.ts';
import { parseDecimal } from './pax.ts';

/** A stretch of a sparse file that has data. */
export type Piece = readonly [offset: number, length: number];

/** More pieces than this no archiver writes, and a map is held in memory. */
export const MAX_PIECES = 1_000_000;

const OLD_ENTRY_BYTES = 24;
const OLD_NUMBER_BYTES = 12;

/** Pieces of a header of GNU's old format, or of a block behind it; an empty one ends the list. Source: GNU tar, "Old GNU Format". */
export function readOldPieces(block: Buffer, start: number, count: number): Piece[] {
  const pieces: Piece[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = start + index * OLD_ENTRY_BYTES;
    if (block[at] === 0) break;
    pieces.push([readNumber(block, at, OLD_NUMBER_BYTES), readNumber(block, at + OLD_NUMBER_BYTES, OLD_NUMBER_BYTES)]);
  }
  return pieces;
}

/** Numbers in pairs. Errors: `bundle`. */
export function pairUp(numbers: readonly string[]): Piece[] {
  if (numbers.length % 2 !== 0 || numbers.length > 2 * MAX_PIECES) throw refuse('a sparse file has a damaged map');
  const pieces: Piece[] = [];
  for (let at = 0; at < numbers.length; at += 2)
    pieces.push([parseDecimal(numbers[at] ?? ''), parseDecimal(numbers[at + 1] ?? '')]);
  return pieces;
}

/** Holds a map to its file: pieces in order, within the file, and as long together as the data is. Errors: `bundle`. */
export function requireMap(
  pieces: readonly Piece[],
  { realSize, dataSize }: { realSize: number; dataSize: number },
): void {
  let end = 0;
  let sum = 0;
  for (const [offset, length] of pieces) {
    if (offset < end || length < 0 || offset + length > realSize)
      throw refuse('a sparse file has a map that is not its own');
    end = offset + length;
    sum += length;
  }
  if (sum !== dataSize) throw refuse(`a sparse file has ${dataSize} bytes of data, wanted ${sum} by its map`);
}
