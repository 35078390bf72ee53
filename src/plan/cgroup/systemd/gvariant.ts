import type { UnitValue } from '../unit-property.ts';

/** A value with its D-Bus signature. */
export interface TypedValue {
  readonly signature: string;
  readonly value: UnitValue;
}

/** Keyword in front of a number -> signature and range. Source: GLib manual, "GVariant Text Format". */
const NUMBER_TYPES: Readonly<Record<string, readonly [signature: string, minimum: bigint, maximum: bigint]>> = {
  byte: ['y', 0n, 0xffn],
  int16: ['n', -0x8000n, 0x7fffn],
  uint16: ['q', 0n, 0xffffn],
  int32: ['i', -0x8000_0000n, 0x7fff_ffffn],
  uint32: ['u', 0n, 0xffff_ffffn],
  int64: ['x', -(1n << 63n), (1n << 63n) - 1n],
  uint64: ['t', 0n, (1n << 64n) - 1n],
};

/** What an annotation may nest; more is an attempt at something else. */
const DEPTH_MAX = 8;

/**
 * Reads the text form of a GVariant: what an annotation `org.systemd.property.NAME` has as its value. Strings, booleans, numbers with
 * or without their type, arrays and tuples of them; that is all that unit properties are made of.
 *
 * Shape: undefined for text that is no such value.
 */
export function parseGvariant(text: string): TypedValue | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const reader = { tokens, position: 0 };
  const value = readValue(reader, 0);
  return reader.position === tokens.length ? value : undefined;
}

interface Reader {
  readonly tokens: readonly string[];
  position: number;
}

function tokenize(text: string): string[] | undefined {
  const pattern = /\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[[\](),]|@?[A-Za-z0-9_.+-]+)\s*/y;
  const tokens: string[] = [];
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match?.[1] === undefined) return undefined;
    tokens.push(match[1]);
  }
  return tokens;
}

function readValue(reader: Reader, depth: number): TypedValue | undefined {
  const token = reader.tokens[reader.position++];
  if (token === undefined || depth > DEPTH_MAX) return undefined;
  if (token === '[') return readArray(reader, depth);
  if (token === '(') return readTuple(reader, depth);
  if (token === 'true' || token === 'false') return { signature: 'b', value: token === 'true' };
  if (token.startsWith("'") || token.startsWith('"')) {
    return { signature: 's', value: token.slice(1, -1).replaceAll(/\\(.)/g, '$1') };
  }
  const type = NUMBER_TYPES[token];
  if (type !== undefined) return readNumber(reader.tokens[reader.position++], type);
  // A number without a type is a 32-bit one.
  return readNumber(token, NUMBER_TYPES['int32'] ?? ['i', 0n, 0n]) ?? readDouble(token);
}

function readNumber(
  token: string | undefined,
  [signature, minimum, maximum]: (typeof NUMBER_TYPES)[string],
): TypedValue | undefined {
  if (token === undefined || !/^[+-]?(\d+|0x[0-9a-fA-F]+)$/.test(token)) return undefined;
  const value = token.startsWith('-') ? -BigInt(token.slice(1)) : BigInt(token.replace(/^\+/, ''));
  return value < minimum || value > maximum ? undefined : { signature, value };
}

function readDouble(token: string): TypedValue | undefined {
  return /^[+-]?\d+\.\d*$/.test(token) ? { signature: 'd', value: Number(token) } : undefined;
}

/** Every element has the type of the first; an empty array has none that could be known. */
function readArray(reader: Reader, depth: number): TypedValue | undefined {
  const elements = readList(reader, ']', depth);
  const signature = elements?.[0]?.signature;
  if (elements === undefined || signature === undefined) return undefined;
  if (elements.some((element) => element.signature !== signature)) return undefined;
  return { signature: `a${signature}`, value: elements.map(({ value }) => value) };
}

function readTuple(reader: Reader, depth: number): TypedValue | undefined {
  const elements = readList(reader, ')', depth);
  if (elements === undefined || elements.length === 0) return undefined;
  return {
    signature: `(${elements.map(({ signature }) => signature).join('')})`,
    value: elements.map(({ value }) => value),
  };
}

function readList(reader: Reader, end: string, depth: number): TypedValue[] | undefined {
  const elements: TypedValue[] = [];
  while (reader.tokens[reader.position] !== end) {
    const element = readValue(reader, depth + 1);
    if (element === undefined) return undefined;
    elements.push(element);
    if (reader.tokens[reader.position] !== ',') break;
    reader.position++;
  }
  return reader.tokens[reader.position++] === end ? elements : undefined;
}
