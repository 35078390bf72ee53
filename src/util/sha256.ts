import { utf8 } from './utf8.ts';

const SIZE = 64;
const LENGTH_AT = 56;

/** Roots of the first primes: 32 bits behind the point of the square roots of eight, and of the cube roots of 64. */
const [INITIAL, ROUNDS] = tables();

/**
 * The SHA-256 of a text, as 64 hexadecimal digits: for names. It needs nothing of the engine, whose own is only there with much else.
 *
 * Source: FIPS 180-4, 6.2.
 */
export function sha256(text: string): string {
  const hash = Uint32Array.from(INITIAL);
  const padded = pad(utf8(text));
  for (let at = 0; at < padded.byteLength; at += SIZE) addBlock(hash, new DataView(padded.buffer, at, SIZE));
  return [...hash].map((word) => word.toString(16).padStart(8, '0')).join('');
}

/** A bit 1, bits 0, and how many bits there were. */
function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 1 + SIZE - LENGTH_AT) / SIZE) * SIZE);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - (SIZE - LENGTH_AT), BigInt(bytes.length) * 8n);
  return padded;
}

function addBlock(hash: Uint32Array, block: DataView): void {
  const words = new Uint32Array(SIZE);
  for (let t = 0; t < SIZE; t += 1) {
    if (t < 16) {
      words[t] = block.getUint32(4 * t);
      continue;
    }
    const [early, late] = [word(words, t - 15), word(words, t - 2)];
    const small0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const small1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    words[t] = word(words, t - 16) + small0 + word(words, t - 7) + small1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = hash;
  for (let t = 0; t < SIZE; t += 1) {
    const large1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const first = (h + large1 + ((e & f) ^ (~e & g)) + word(ROUNDS, t) + word(words, t)) | 0;
    const large0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const second = (large0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [index, added] of [a, b, c, d, e, f, g, h].entries()) hash[index] = word(hash, index) + added;
}

function word(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}

function rotate(value: number, count: number): number {
  return (value >>> count) | (value << (32 - count));
}

function tables(): [initial: Uint32Array, rounds: Uint32Array] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < SIZE; candidate += 1)
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32);
  return [
    Uint32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime))),
    Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
  ];
}
