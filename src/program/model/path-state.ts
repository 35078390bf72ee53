import type { Block, Condition, Place, Region } from '../step.ts';

/** Where eight bytes lie: the stretch that they belong to, by its number, and their offset in it. */
export interface Spot {
  readonly base: number;
  readonly offset: number;
}

/** Regions are known by where they lie, so that two names of one slot are one place; blocks by themselves. */
export class Spots {
  readonly #blocks = new Map<Block, number>();

  of(place: Region | Place): Spot {
    const { of, offset } = place.kind === 'region' ? { of: place, offset: 0 } : place;
    return { base: this.baseOf(of), offset: of.kind === 'region' ? of.offset + offset : offset };
  }

  /** 0 for init's memory. */
  baseOf(of: Region | Block): number {
    if (of.kind === 'region') return 0;
    const base = this.#blocks.get(of) ?? this.#blocks.size + 1;
    this.#blocks.set(of, base);
    return base;
  }
}

/** What is known of a place that a descriptor was written to. */
export interface Held {
  /** `none`: the errno of a call that should have made one. */
  readonly state: 'open' | 'closed' | 'none';
  readonly name: string;
  /** The region, unless it is a place in a block. */
  readonly region: Region | undefined;
  /** Index of the step that wrote it; -1 for an earlier program. */
  readonly step: number;
}

/** What a check has found: the masked bytes are this value, or are none of these. */
interface Fact {
  readonly spot: Spot;
  readonly is?: bigint;
  readonly isNot: readonly bigint[];
}

const SIGN_BIT = 1n << 63n;
const ALL_BITS = (1n << 64n) - 1n;

/** What is known on one way through a program in front of one step. Immutable. */
export class PathState {
  readonly #held: ReadonlyMap<string, Held & { readonly spot: Spot }>;
  readonly #facts: ReadonlyMap<string, Fact>;
  #key: string | undefined;

  constructor(held: PathState['held'] = new Map(), facts: ReadonlyMap<string, Fact> = new Map()) {
    this.#held = held;
    this.#facts = facts;
  }

  get held(): ReadonlyMap<string, Held & { readonly spot: Spot }> {
    return this.#held;
  }

  /** The same for states that nothing tells apart. */
  get key(): string {
    this.#key ??= [
      ...[...this.#held].map(([spot, { state, name, step }]) => `${spot} ${state} ${name} ${step}`),
      ...[...this.#facts].map(([of, { is, isNot }]) => `${of}=${is ?? ''}!${isNot.join(' ')}`),
    ]
      .sort()
      .join('\n');
    return this.#key;
  }

  at(spot: Spot): Held | undefined {
    return this.#held.get(keyOf(spot));
  }

  /** What lies in `size` bytes. */
  within({ base, offset }: Spot, size: number): Held[] {
    return [...this.#held.values()].filter(
      ({ spot }) => spot.base === base && spot.offset >= offset && spot.offset < offset + size,
    );
  }

  /** The state when `size` bytes are others: `held`, or what is no descriptor. */
  written(spot: Spot, size: number, held?: Held): PathState {
    const isIn = (other: Spot): boolean =>
      other.base === spot.base && other.offset >= spot.offset && other.offset < spot.offset + size;
    const kept = new Map([...this.#held].filter(([, entry]) => !isIn(entry.spot)));
    if (held !== undefined) kept.set(keyOf(spot), { ...held, spot });
    return new PathState(
      kept,
      new Map(
        [...this.#facts].filter(
          ([, fact]) => !isIn(fact.spot) && !isIn({ ...fact.spot, offset: fact.spot.offset + 4 }),
        ),
      ),
    );
  }

  /** The state when nobody knows what has become of the bytes of a block. */
  forgotten(base: number): PathState {
    return new PathState(this.#held, new Map([...this.#facts].filter(([, { spot }]) => spot.base !== base)));
  }

  /** The state with the descriptor at a place closed. */
  closed(spot: Spot): PathState {
    const held = this.#held.get(keyOf(spot));
    if (held?.state !== 'open') return this;
    return new PathState(new Map([...this.#held, [keyOf(spot), { ...held, state: 'closed' as const }]]), this.#facts);
  }

  /** Only what `isWanted`, by the keys of places and of conditions; what is open stays. */
  pruned(isWanted: (key: string, held?: Held) => boolean): PathState {
    const held = [...this.#held].filter(([key, entry]) => entry.state === 'open' || isWanted(key, entry));
    const facts = [...this.#facts].filter(([key]) => isWanted(key));
    if (held.length === this.#held.size && facts.length === this.#facts.size) return this;
    return new PathState(new Map(held), new Map(facts));
  }

  /** Whether the masked bytes are the wanted ones; undefined when both may be. */
  isEqual(spot: Spot, { mask, wanted }: Condition): boolean | undefined {
    if (typeof wanted !== 'bigint') return undefined;
    const state = this.at(spot)?.state;
    if (mask === SIGN_BIT && state !== undefined) return (state === 'none') === (wanted !== 0n);
    const isErrno = (BigInt.asUintN(64, wanted) & SIGN_BIT) !== 0n;
    if (mask === ALL_BITS && state !== undefined && isErrno !== (state === 'none')) return false;
    // Descriptors 0 to 2 are the program's own from the start.
    if (mask === ALL_BITS && state === 'open' && wanted === 0n) return false;
    const fact = this.#facts.get(conditionKey(spot, mask));
    if (fact?.is !== undefined) return fact.is === wanted;
    return fact?.isNot.includes(wanted) === true ? false : undefined;
  }

  /** The state where a check has found whether they are equal. */
  learned(spot: Spot, { mask, wanted }: Condition, isEqual: boolean): PathState {
    if (typeof wanted !== 'bigint') return this;
    const key = conditionKey(spot, mask);
    const isNot = this.#facts.get(key)?.isNot ?? [];
    const fact = isEqual ? { spot, is: wanted, isNot: [] } : { spot, isNot: [...new Set([...isNot, wanted])].sort() };
    return new PathState(this.#held, new Map([...this.#facts, [key, fact]]));
  }

  /** What is known on both ways. */
  joined(other: PathState): PathState {
    const held = [...this.#held].filter(([key, entry]) => {
      const there = other.held.get(key);
      return there?.state === entry.state && there.name === entry.name && there.step === entry.step;
    });
    return new PathState(new Map(held));
  }
}

/** The name of a place in `pruned`. */
export function keyOf({ base, offset }: Spot): string {
  return `${base}+${offset}`;
}

/** The name of what a condition looks at in `pruned`. */
export function conditionKey(spot: Spot, mask: bigint): string {
  return `${keyOf(spot)}&${BigInt.asUintN(64, mask)}`;
}
