import { utf8 } from './utf8.ts';

const SIZE = 64;
const LENGTH_AT = 56;

/** 32 bits behind the point of the square roots of the first eight primes. */
// prettier-ignore
const INITIAL = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/** The same of the cube roots of the first 64. */
// prettier-ignore
const ROUNDS = Uint32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

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
