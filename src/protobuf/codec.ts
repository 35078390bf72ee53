/** An integer of 64 bits: a BigInt where a number cannot hold it exactly. */
export type Integer = number | bigint;

/** Bytes that are no message of the wanted kind. */
export class WireError extends Error {}

/** How one value travels. Source: protobuf.dev/programming-guides/encoding. */
interface Kind<T> {
  readonly wire: 0 | 2;
  /** What a message has that does not name the field. */
  readonly absent: T;
  /** A varint where `wire` is 0, bytes otherwise. */
  encode(value: T): Integer | Uint8Array;
  decode(raw: Integer | Buffer): T;
}

/** A field of a message: its number, and what its values are. */
export interface Field<T> {
  readonly number: number;
  readonly kind: Kind<never>;
  readonly isList: boolean;
  readonly absent: () => T;
}

/** Name -> field. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The value of a message. */
export type Value<Table extends Fields> = {
  readonly [Name in keyof Table]: Table[Name] extends Field<infer T> ? T : never;
};

/** What a message is made of; fields that are left out are as the protocol has them then. */
export type Given<Table extends Fields> = Partial<Value<Table>>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const TEXT: Kind<string> = {
  wire: 2,
  absent: '',
  encode: (value) => Buffer.from(value),
  decode: (raw) => {
    try {
      return utf8.decode(raw as Buffer);
    } catch (cause) {
      throw new WireError('read a text: it is no UTF-8', { cause });
    }
  },
};

const BYTES: Kind<Uint8Array> = {
  wire: 2,
  absent: new Uint8Array(),
  encode: (value) => value,
  decode: (raw) => raw as Buffer,
};
const FLAG: Kind<boolean> = { wire: 0, absent: false, encode: Number, decode: (raw) => raw != 0 };
const UINT32: Kind<number> = {
  wire: 0,
  absent: 0,
  encode: (value) => value >>> 0,
  decode: (raw) => (isSmall(raw) ? raw : Number(BigInt.asUintN(32, BigInt(raw as Integer)))),
};
const INT32: Kind<number> = {
  wire: 0,
  absent: 0,
  encode: (value) => value,
  decode: (raw) => (isSmall(raw) ? raw : Number(BigInt.asIntN(32, BigInt(raw as Integer)))),
};
const UINT64: Kind<Integer> = { wire: 0, absent: 0, encode: (value) => value, decode: (raw) => raw as Integer };
const INT64: Kind<Integer> = {
  wire: 0,
  absent: 0,
  encode: (value) => value,
  decode: (raw) => (isSmall(raw) ? raw : shrink(BigInt.asIntN(64, BigInt(raw as Integer)))),
};

/** Whether it is the same number however many bits it is said to have, with a sign or without. */
function isSmall(raw: unknown): raw is number {
  return typeof raw === 'number' && raw >= 0 && raw <= 0x7fff_ffff;
}

function field<T>(number: number, kind: Kind<T>): Field<T> {
  return { number, kind: kind as unknown as Kind<never>, isList: false, absent: () => kind.absent };
}

/** `string` of proto3. */
export const text = (number: number): Field<string> => field(number, TEXT);
/** `bytes`. */
export const bytes = (number: number): Field<Uint8Array> => field(number, BYTES);
/** `bool`. */
export const flag = (number: number): Field<boolean> => field(number, FLAG);
/** `uint32`. */
export const uint32 = (number: number): Field<number> => field(number, UINT32);
/** `int32`, and enumerations. */
export const int32 = (number: number): Field<number> => field(number, INT32);
/** `uint64`. */
export const uint64 = (number: number): Field<Integer> => field(number, UINT64);
/** `int64`. */
export const int64 = (number: number): Field<Integer> => field(number, INT64);

/** A message in a message; undefined where there is none. */
export function nested<Table extends Fields>(number: number, table: Table): Field<Given<Table> | undefined> {
  return field<Given<Table> | undefined>(number, {
    wire: 2,
    absent: undefined,
    encode: (value) => encode(table, value ?? {}),
    decode: (raw) => decode(table, raw as Buffer),
  });
}

/** `repeated` of a field. */
export function list<T>({ number, kind }: Field<T>): Field<readonly Exclude<T, undefined>[]> {
  return { number, kind, isList: true, absent: () => [] };
}

/** A field whose value is written also where it is as by default: `required` and `optional` of proto2. Undefined where there is none. */
export function stated<T>({ number, kind, isList }: Field<T>): Field<T | undefined> {
  const always = { ...(kind as unknown as Kind<T>), absent: undefined };
  return { number, kind: always as unknown as Kind<never>, isList, absent: () => undefined };
}

/** The bytes of a message. */
export function encode<Table extends Fields>(table: Table, value: Given<Table>): Buffer {
  const writer = new Writer();
  for (const { name, number, kind, isList } of layoutOf(table).entries) {
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (isList) for (const entry of (member as readonly unknown[] | undefined) ?? []) writer.put(number, kind, entry);
    else if (!isAbsent(kind, member)) writer.put(number, kind, member);
  }
  return writer.finish();
}

function isAbsent(kind: Kind<never>, value: unknown): boolean {
  if (value === undefined || value === kind.absent) return true;
  return kind === (BYTES as unknown) && (value as Uint8Array).length === 0;
}

const FIRST_BYTES = 256;

/** Collects the bytes of a message. */
class Writer {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  put(number: number, kind: Kind<never>, value: unknown): void {
    const encoded = kind.encode(value as never);
    this.#varint(number * 8 + kind.wire);
    if (typeof encoded !== 'object') {
      this.#varint(encoded);
      return;
    }
    this.#varint(encoded.length);
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#length);
    this.#length += encoded.length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Of the two's complement of 64 bits. */
  #varint(value: Integer): void {
    this.#reserve(VARINT_BYTES_MAX);
    if (typeof value === 'number' && value >= 0 && value <= 0x7fff_ffff) {
      let rest = value;
      for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      this.#bytes[this.#length++] = rest;
      return;
    }
    let rest: bigint = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** A table as it is gone through. */
interface Layout {
  readonly entries: readonly (Field<unknown> & { readonly name: string })[];
  /** Number -> field. */
  readonly byNumber: ReadonlyMap<number, Field<unknown> & { readonly name: string }>;
}

const layouts = new WeakMap<Fields, Layout>();

function layoutOf(table: Fields): Layout {
  const known = layouts.get(table);
  if (known !== undefined) return known;
  const entries = Object.entries(table).map(([name, found]) => ({ name, ...found }));
  const made = { entries, byNumber: new Map(entries.map((entry) => [entry.number, entry])) };
  layouts.set(table, made);
  return made;
}

/**
 * Reads a message. Fields that the table does not name are passed over; of one that comes several times and is no list the last counts.
 *
 * Errors: `WireError`.
 */
export function decode<Table extends Fields>(table: Table, from: Buffer): Value<Table> {
  const value: Record<string, unknown> = {};
  const { entries, byNumber } = layoutOf(table);
  for (const { name, absent } of entries) value[name] = absent();
  const reader = new Reader(from);
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag();
    const found = byNumber.get(number);
    if (found === undefined) {
      reader.skip(wire);
      continue;
    }
    const { name, kind, isList } = found;
    const read = reader.values(wire, found);
    if (isList) value[name] = [...(value[name] as unknown[]), ...read.map((raw): unknown => kind.decode(raw))];
    else if (read.length > 0) value[name] = kind.decode(read[read.length - 1] as Integer | Buffer);
  }
  return value as Value<Table>;
}

const NUMBER_MAX = 0x1fff_ffff;
const VARINT_BYTES_MAX = 10;

/** Goes through the bytes of a message. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(from: Buffer) {
    this.#bytes = from;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): { readonly number: number; readonly wire: number } {
    const tag = Number(this.#varint());
    const number = Math.floor(tag / 8);
    if (number < 1 || number > NUMBER_MAX) throw new WireError(`read a message: a field has the number ${number}`);
    return { number, wire: tag % 8 };
  }

  /** One value; of a list of integers all that are packed together. */
  values(wire: number, { number, kind, isList }: Field<unknown>): readonly (Integer | Buffer)[] {
    if (wire === kind.wire) return [wire === 0 ? this.#varint() : this.#chunk()];
    if (wire !== 2 || !isList) throw new WireError(`read a message: field ${number} is of wire type ${wire}`);
    const packed = new Reader(this.#chunk());
    const found: Integer[] = [];
    while (!packed.isAtEnd) found.push(packed.#varint());
    return found;
  }

  skip(wire: number): void {
    if (wire === 0) this.#varint();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.#chunk();
    else if (wire === 5) this.#take(4);
    else throw new WireError(`read a message: there is no wire type ${wire}`);
  }

  #chunk(): Buffer {
    return this.#take(Number(this.#varint()));
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new WireError('read a message: it ends in the middle of a field');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #varint(): Integer {
    let value = 0n;
    for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new WireError('read a message: it ends in the middle of a number');
      this.#at += 1;
      // Most have one byte.
      if (index === 0 && byte < 0x80) return byte;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return shrink(BigInt.asUintN(64, value));
    }
    throw new WireError(`read a message: a number has more than ${VARINT_BYTES_MAX} bytes`);
  }
}

function shrink(value: bigint): Integer {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
