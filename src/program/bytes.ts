/** Data of a packet is aligned to this. */
const ALIGNMENT = 8;
const TWO_TO_32 = 0x1_0000_0000;

/** The next multiple of 8. */
export function alignUp(bytes: number): number {
  return (bytes + ALIGNMENT - 1) & -ALIGNMENT;
}

/**
 * Writes a number as 8 bytes, little endian, negative ones in two's complement.
 * Throws a RangeError for a number that is not a safe integer, or a bigint that has more than 64 bits.
 */
export function writeWord(view: DataView, offset: number, value: number | bigint): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`bug: ${value} is not a safe integer`);
    view.setUint32(offset, value, true);
    view.setInt32(offset + 4, Math.floor(value / TWO_TO_32), true);
  } else {
    if (value !== BigInt.asIntN(64, value) && value !== BigInt.asUintN(64, value))
      throw new RangeError(`bug: ${value} has more than 64 bits`);
    view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }
}

/** The text of UTF-8 bytes; undefined for bytes that are not UTF-8. */
export function readText(bytes: Uint8Array): string | undefined {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const [point, size] = readCodePoint(bytes, at);
    if (point < 0) return undefined;
    text += String.fromCodePoint(point);
    at += size;
  }
  return text;
}

/** The lowest code point that a sequence of so many bytes may encode; lower ones are overlong. */
const LOWEST_POINT = [0, 0, 0x80, 0x800, 0x1_0000];
const HIGHEST_POINT = 0x10_ffff;

/** One code point and its size in bytes; -1 for a sequence that is not valid. */
function readCodePoint(bytes: Uint8Array, at: number): readonly [number, number] {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return [first, 1];
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc0 || first >= 0xf8 || at + size > bytes.length) return [-1, size];
  let point = first & (0x7f >> size);
  for (const byte of bytes.subarray(at + 1, at + size)) {
    if ((byte & 0xc0) !== 0x80) return [-1, size];
    point = (point << 6) | (byte & 0x3f);
  }
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  return point < (LOWEST_POINT[size] ?? 0) || point > HIGHEST_POINT || isSurrogate ? [-1, size] : [point, size];
}
