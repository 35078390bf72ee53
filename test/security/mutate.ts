/** A generator of numbers below 2^32 that a seed determines (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  };
}

/** What stands where something sensible did. None of it names a place in a cgroup hierarchy, nor a process. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  '',
  '\0',
  'a\0b',
  'a\nb',
  '=',
  '..',
  '../../../../../../nonexistent',
  '/',
  '/proc/self/fd/3',
  '//./..//',
  '%s%n',
  '__proto__',
  'constructor',
  '\ud800',
  '\u202e\u0007\u001b[2J',
  'x'.repeat(5000),
  [],
  {},
  [null],
  [[[[[[[[]]]]]]]],
  { toString: 1, length: -1 },
];

interface Spot {
  readonly parent: Record<string, unknown> | unknown[];
  readonly key: string;
  readonly pointer: string;
}

/** A copy of a document with one to three places changed: a hostile value, something left out, doubled, or put elsewhere. */
export function mutate(document: unknown, random: () => number, isExempt: (pointer: string) => boolean): unknown {
  const copy = structuredClone(document);
  const rounds = 1 + (random() % 3);
  for (let round = 0; round < rounds; round++) {
    const spots = spotsOf(copy, '').filter(({ pointer }) => !isExempt(pointer));
    const spot = spots[random() % spots.length];
    const other = spots[random() % spots.length];
    if (spot !== undefined && other !== undefined) change(spot, other, random);
  }
  return copy;
}

function change({ parent, key }: Spot, other: Spot, random: () => number): void {
  const holder = parent as Record<string, unknown>;
  switch (random() % 6) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else Reflect.deleteProperty(parent, key);
      return;
    case 1:
      if (Array.isArray(parent)) parent.push(...Array.from({ length: 1 + (random() % 40) }, () => parent[0]));
      else holder[`${key}${key}`] = holder[key];
      return;
    case 2:
      holder[key] = structuredClone((other.parent as Record<string, unknown>)[other.key]);
      return;
    default:
      holder[key] = structuredClone(HOSTILE[random() % HOSTILE.length]);
  }
}

function spotsOf(value: unknown, pointer: string): Spot[] {
  if (typeof value !== 'object' || value === null) return [];
  const parent = value as Record<string, unknown>;
  return Object.keys(parent).flatMap((key) => {
    const inside = `${pointer}/${key}`;
    return [{ parent, key, pointer: inside }, ...spotsOf(parent[key], inside)];
  });
}

/** JSON text that is damaged as text: cut off, doubled, or with a byte changed. */
export function damage(text: string, random: () => number): string {
  const at = random() % text.length;
  switch (random() % 3) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(random() % text.length);
    default:
      return text.slice(0, at) + String.fromCharCode(random() % 256) + text.slice(at + 1);
  }
}
