import { bind, check, type Pointer } from './library.ts';

/** A value of a message: numbers of 64 bits as bigint, arrays and structures as lists. */
export type BusValue = string | boolean | number | bigint | readonly BusValue[];

/** Numbers of a message: signature -> size in bytes. */
const NUMBER_SIZES: Readonly<Record<string, number>> = { y: 1, b: 4, n: 2, q: 2, i: 4, u: 4, x: 8, t: 8, d: 8 };

/** `ssa(sv)` -> `['s', 's', 'a(sv)']`: the complete types of a signature. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let start = 0; start < signature.length;) {
    let end = start;
    while (signature[end] === 'a') end++;
    for (let depth = 0; ; end++) {
      if (signature[end] === '(') depth++;
      else if (signature[end] === ')') depth--;
      if (depth === 0 || end >= signature.length) break;
    }
    types.push(signature.slice(start, end + 1));
    start = end + 1;
  }
  return types;
}

/** Adds a value of this type to a message. Errors: `host`. */
export function append(message: Pointer, type: string, value: BusValue): void {
  const first = type[0] ?? '';
  if (first === 'a' || first === '(') appendList(message, type, value);
  else if (first === 'v') appendVariant(message, value);
  else if (first === 's' || first === 'o') {
    const add = bind('int sd_bus_message_append_basic(void *m, char type, str p)');
    check(add(message, first.charCodeAt(0), String(value)), 'add a string to a message');
  } else {
    const add = bind('int sd_bus_message_append_basic(void *m, char type, void *p)');
    check(add(message, first.charCodeAt(0), numberBytes(first, value)), `add a value of type "${first}" to a message`);
  }
}

function appendList(message: Pointer, type: string, value: BusValue): void {
  const list = value as readonly BusValue[];
  const isArray = type.startsWith('a');
  const contents = isArray ? type.slice(1) : type.slice(1, -1);
  inContainer(message, isArray ? 'a' : 'r', contents, () => {
    const types = isArray ? [] : splitSignature(contents);
    list.forEach((element, index) => {
      append(message, isArray ? contents : (types[index] ?? ''), element);
    });
  });
}

/** A variant is given as the pair of its signature and its value. */
function appendVariant(message: Pointer, value: BusValue): void {
  const [signature, content] = value as readonly [string, BusValue];
  inContainer(message, 'v', signature, () => {
    append(message, signature, content);
  });
}

function inContainer(message: Pointer, type: string, contents: string, fill: () => void): void {
  const open = bind('int sd_bus_message_open_container(void *m, char type, str contents)');
  check(open(message, type.charCodeAt(0), contents), `add a container of "${contents}" to a message`);
  fill();
  check(bind('int sd_bus_message_close_container(void *m)')(message), 'end a container of a message');
}

function numberBytes(type: string, value: BusValue): Buffer {
  const size = NUMBER_SIZES[type];
  if (size === undefined) throw new Error(`bug: a message with a value of type ${JSON.stringify(type)}`);
  const bytes = Buffer.alloc(8);
  if (type === 'd') bytes.writeDoubleLE(Number(value));
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number)));
  return bytes;
}
