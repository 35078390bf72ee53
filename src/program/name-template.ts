import type { Packet } from './step.ts';
import { utf8 } from '../util/utf8.ts';

/**
 * The packets of programs that differ in nothing but a name, such as the id of a container: made from two of them, filled with any other
 * name that has as many bytes.
 */
export class NameTemplate {
  readonly #packets: readonly Packet[];
  /** Of each packet, the offsets at which the name is in its bytes. */
  readonly #places: readonly (readonly number[])[];

  private constructor(packets: readonly Packet[], places: readonly (readonly number[])[]) {
    this.#packets = packets;
    this.#places = places;
  }

  /**
   * From the packets of two names that have no character in common at the same place. Undefined where these differ in more than the names,
   * or where a name is cut.
   */
  static between(one: NamedPackets, other: NamedPackets): NameTemplate | undefined {
    if (one.packets.length !== other.packets.length) return undefined;
    const names = [utf8(one.name), utf8(other.name)] as const;
    if (names[0].length !== names[1].length || names[0].length === 0) return undefined;
    const places: number[][] = [];
    for (const [index, packet] of one.packets.entries()) {
      const counterpart = other.packets[index];
      if (counterpart === undefined || !hasSameShape(packet, counterpart)) return undefined;
      const found = findPlaces(packet.bytes, counterpart.bytes, names);
      if (found === undefined) return undefined;
      places.push(found);
    }
    return new NameTemplate(one.packets, places);
  }

  /** The packets of a name that has as many bytes. */
  fill(name: string): Packet[] {
    const letters = utf8(name);
    return this.#packets.map(({ bytes, steps, payload }, index) => {
      const filled = bytes.slice();
      for (const at of this.#places[index] ?? []) filled.set(letters, at);
      return { bytes: filled, steps, payload };
    });
  }
}

/** The packets of a program that has a name in it. */
export interface NamedPackets {
  readonly name: string;
  readonly packets: readonly Packet[];
}

function hasSameShape(one: Packet, other: Packet): boolean {
  return (
    one.payload === other.payload &&
    one.bytes.length === other.bytes.length &&
    one.steps.length === other.steps.length &&
    one.steps.every((step, index) => step === other.steps[index])
  );
}

/** Where one has the first name and the other the second; undefined where they differ elsewhere too. */
function findPlaces(
  one: Uint8Array,
  other: Uint8Array,
  [first, second]: readonly [Uint8Array, Uint8Array],
): number[] | undefined {
  const places: number[] = [];
  for (let at = 0; at < one.length; at++) {
    if (one[at] === other[at]) continue;
    if (!isAt(one, at, first) || !isAt(other, at, second)) return undefined;
    places.push(at);
    at += first.length - 1;
  }
  return places;
}

function isAt(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  return name.every((byte, index) => bytes[at + index] === byte);
}
