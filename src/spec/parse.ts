import { TsrunError } from '../errors.ts';

// Every walk over a document may recurse: this bounds it. No real config is nested even a tenth as deep.
const deepestNesting = 256;

// Integers with more digits fit no field of any document; BigInt is not linear in the number of digits.
const longestInteger = 64;

/**
 * The value of a JSON text, with the integers that a number cannot hold exactly as BigInt.
 *
 * Otherwise as JSON.parse: of two members with one name the last counts, and `__proto__` is a name like any other.
 * Errors: `config` with line, column (in UTF-16 units, from 1), what was found and what was wanted there; also when
 * arrays and objects are nested more than 256 deep. Source: RFC 8259.
 */
export function parseJson(text: string): unknown {
  try {
    const value = JSON.parse(text) as unknown;
    if (!needsReader([value], deepestNesting + 1)) return value;
  } catch {
    // Every engine words its error differently; the reader below finds the same fault again and says where it is.
  }
  return new JsonReader(text).readDocument();
}

/**
 * The value as JSON, BigInts as plain integers; otherwise as JSON.stringify without `toJSON` and replacer.
 *
 * `indent` is the number of spaces a level, 0 for one line.
 */
export function stringifyJson(value: unknown, indent = 0): string {
  return write(value, '\n', ' '.repeat(indent)) ?? 'null';
}

/**
 * Whether a document is nested too deep, or has a number that may not be the one of its text. Some have tens of thousands of numbers
 * or megabytes of text: it is walked once, and calls little.
 */
function needsReader(document: object, levels: number): boolean {
  if (levels === 0) return true;
  const members = (Array.isArray(document) ? document : Object.values(document)) as readonly unknown[];
  for (let index = 0; index < members.length; index++) {
    const member = members[index];
    if (typeof member === 'number') {
      if (member > Number.MAX_SAFE_INTEGER || member < Number.MIN_SAFE_INTEGER) return true;
    } else if (typeof member === 'object' && member !== null && needsReader(member, levels - 1)) return true;
  }
  return false;
}

/** A recursive descent over one text; `#at` is the next character to read. */
class JsonReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): unknown {
    const value = this.#readValue('a value');
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('the end of the text');
    return value;
  }

  #readValue(wanted: string): unknown {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#nested(() => this.#readObject());
      case '[':
        return this.#nested(() => this.#readArray());
      case '"':
        return this.#readString();
      case 't':
        return this.#readWord('true', true);
      case 'f':
        return this.#readWord('false', false);
      case 'n':
        return this.#readWord('null', null);
      default:
        return this.#readNumber(wanted);
    }
  }

  #nested<T>(read: () => T): T {
    this.#depth++;
    if (this.#depth > deepestNesting) this.#fail(`at most ${deepestNesting} nested arrays and objects`);
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #readObject(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#skipIf('}')) return object;
    for (let wanted = 'a property name or "}"'; ; wanted = 'a property name') {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#fail(wanted);
      const name = this.#readString();
      if (!this.#skipIf(':')) this.#fail('":"');
      setMember(object, name, this.#readValue('a value'));
      if (this.#skipIf('}')) return object;
      if (!this.#skipIf(',')) this.#fail('"," or "}"');
    }
  }

  #readArray(): unknown[] {
    const array: unknown[] = [];
    if (this.#skipIf(']')) return array;
    for (let wanted = 'a value or "]"'; ; wanted = 'a value') {
      array.push(this.#readValue(wanted));
      if (this.#skipIf(']')) return array;
      if (!this.#skipIf(',')) this.#fail('"," or "]"');
    }
  }

  #readString(): string {
    const start = this.#at;
    for (this.#at++; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 0x22) break;
      if (code === 0x5c) this.#skipEscape();
      // charCodeAt() past the end is NaN, for which every comparison is false.
      else if (!(code >= 0x20)) this.#fail('a closing "\\"" or a character that needs no escape');
    }
    this.#at++;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #skipEscape(): void {
    const [escape] = match(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y, this.#text, this.#at) ?? [];
    if (escape === undefined) this.#fail('an escape such as "\\n" or "\\u000a"');
    else this.#at += escape.length - 1;
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail(word);
    this.#at += word.length;
    return value;
  }

  #readNumber(wanted: string): number | bigint {
    const [digits, fraction] = match(/-?(?:0|[1-9]\d*)(\.\d+)?(?:[eE][+-]?\d+)?/y, this.#text, this.#at) ?? [];
    if (digits === undefined) return this.#fail(wanted);
    this.#at += digits.length;
    const value = Number(digits);
    const isInteger = fraction === undefined && !/[eE]/.test(digits);
    if (!isInteger || Number.isSafeInteger(value) || digits.length > longestInteger) return value;
    return BigInt(digits);
  }

  #skipSpace(): void {
    while (' \n\r\t'.includes(this.#text[this.#at] ?? 'none')) this.#at++;
  }

  #skipIf(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #fail(wanted: string): never {
    const before = this.#text.slice(0, this.#at).split('\n');
    const column = (before.at(-1) ?? '').length + 1;
    if (this.#text.trim() === '') throw new TsrunError('config', 'broken JSON: it is empty');
    const rest = this.#text.codePointAt(this.#at);
    const found = rest === undefined ? 'the end of the text' : JSON.stringify(String.fromCodePoint(rest));
    const place = `line ${before.length}, column ${column}`;
    throw new TsrunError('config', `broken JSON at ${place}: found ${found}, wanted ${wanted}`);
  }
}

function match(expression: RegExp, text: string, at: number): RegExpExecArray | null {
  expression.lastIndex = at;
  return expression.exec(text);
}

// A plain assignment to `__proto__` would change the object's prototype instead of adding a member.
function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

function write(value: unknown, lineBreak: string, indent: string): string | undefined {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = lineBreak + indent;
  const parts = Array.isArray(value)
    ? value.map((item) => write(item, inner, indent) ?? 'null')
    : writeMembers(value, inner, indent);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  if (parts.length === 0 || indent === '') return `${open}${parts.join(',')}${close}`;
  return `${open}${inner}${parts.join(`,${inner}`)}${lineBreak}${close}`;
}

function writeMembers(object: object, lineBreak: string, indent: string): string[] {
  const members: string[] = [];
  for (const [name, member] of Object.entries(object)) {
    const text = write(member, lineBreak, indent);
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${indent === '' ? '' : ' '}${text}`);
  }
  return members;
}
