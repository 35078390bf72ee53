import { refuse } from '../refuse.ts';

/** A tar header is one block, and data fills up whole ones. */
export const BLOCK_BYTES = 512;

/** One header as it stands in the archive; names have one byte a character (latin1). */
export interface RawHeader {
  readonly name: string;
  readonly linkName: string;
  /** The letter of the type; a NUL is told from `0`. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

const CHECKSUM = [148, 156] as const;
const SPACE = 0x20;

/**
 * Reads a header: v7, ustar or GNU. Undefined for a block of zeros, which ends an archive. Errors: `bundle`.
 * Source: POSIX pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format".
 */
export function parseHeader(block: Buffer): RawHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  requireChecksum(block);
  const magic = block.toString('latin1', 257, 265);
  const isUstar = magic.startsWith('ustar\0');
  const hasDevice = magic.startsWith('ustar');
  const prefix = isUstar ? readText(block, 345, 155) : '';
  const name = readText(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: readText(block, 157, 100),
    type: block.toString('latin1', 156, 157),
    mode: readNumber(block, 100, 8),
    uid: readNumber(block, 108, 8),
    gid: readNumber(block, 116, 8),
    size: readNumber(block, 124, 12),
    mtime: readNumber(block, 136, 12),
    major: hasDevice ? readNumber(block, 329, 8) : 0,
    minor: hasDevice ? readNumber(block, 337, 8) : 0,
  };
}

/** Old tars summed signed bytes up. */
function requireChecksum(block: Buffer): void {
  const [from, to] = CHECKSUM;
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    const byte = at >= from && at < to ? SPACE : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const wanted = readNumber(block, from, to - from);
  if (wanted !== unsigned && wanted !== signed) throw refuse('an archive has a header with a wrong checksum');
}

function readText(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString('latin1', start, end >= 0 && end < start + length ? end : start + length);
}

/** Octal digits, or GNU's big-endian number behind a byte with the highest bit. Errors: `bundle`. */
export function readNumber(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) return readBinary(block.subarray(start, start + length));
  const text = readText(block, start, length).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text))
    throw refuse(`an archive has a header with ${JSON.stringify(text)} in the place of a number`);
  return Number.parseInt(text, 8);
}

/** Two's complement of all bits but the highest, which says that it is one. */
function readBinary(bytes: Buffer): number {
  const isNegative = ((bytes[0] ?? 0) & 0x40) !== 0;
  let value = 0n;
  for (const [index, byte] of bytes.entries()) value = (value << 8n) | BigInt(index === 0 ? byte & 0x7f : byte);
  if (isNegative) value -= 1n << BigInt(bytes.length * 8 - 1);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw refuse('an archive has a header with a number that is too large');
  return number;
}
