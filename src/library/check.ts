import { parseSignal } from '../util/signals.ts';

/** What an option may be: tells a value that is wrong what was wanted in its place. */
export type Check = (value: unknown) => string | undefined;

/** Name of an option -> what it may be. Options that are not in the table do not exist. */
export type Checks<Options> = { readonly [Name in keyof Required<Options>]: Check };

/**
 * Holds the options of a call to a table. One that is `undefined` counts as not given.
 *
 * Errors: TypeError with the names of the call and the option, and what was wanted and found.
 */
export function checkOptions<Options extends object>(call: string, options: Options, checks: Checks<Options>): void {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new TypeError(`${call}: options is ${show(options)}, wanted an object`);
  const table: Readonly<Record<string, Check>> = checks;
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(table, name) ? table[name] : undefined;
    if (check === undefined) throw new TypeError(`${call}: unknown option ${JSON.stringify(name)}`);
    if (value !== undefined) checkValue(`${call}: option ${JSON.stringify(name)}`, value, check);
  }
}

/** The same for one that has to be given. */
export function checkGiven(call: string, name: string, value: unknown, check: Check): void {
  checkValue(`${call}: ${JSON.stringify(name)}`, value, check);
}

function checkValue(what: string, value: unknown, check: Check): void {
  const wanted = check(value);
  if (wanted !== undefined) throw new TypeError(`${what} is ${show(value)}, wanted ${wanted}`);
}

function is(wanted: string, test: (value: unknown) => boolean): Check {
  return (value) => (test(value) ? undefined : wanted);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isIndex = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Checks that the tables of several calls name. */
export const CHECKS = {
  text: is('a text that is not empty', (value) => typeof value === 'string' && value !== ''),
  path: is('an absolute path', (value) => typeof value === 'string' && value.startsWith('/')),
  flag: is('true or false', (value) => typeof value === 'boolean'),
  count: is('a whole number of 0 or more', isIndex),
  timeoutMs: is('a number of milliseconds, 0 or more', (value) => typeof value === 'number' && value >= 0),
  texts: is('a list of texts', (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'string')),
  numbers: is('a list of whole numbers', (value) => Array.isArray(value) && value.every(isIndex)),
  descriptors: is('a list of descriptors', (value) => Array.isArray(value) && value.every(isIndex)),
  object: is('an object', isObject),
  function: is('a function', (value) => typeof value === 'function'),
  signal: is('an AbortSignal', (value) => value instanceof AbortSignal),
} satisfies Record<string, Check>;

/** One of these texts. */
export function oneOf(...texts: readonly string[]): Check {
  return is(`one of ${JSON.stringify(texts)}`, (value) => texts.includes(value as string));
}

/** Either of two. */
export function either(first: Check, second: Check): Check {
  return (value) => {
    const wanted = [first(value), second(value)];
    return wanted.includes(undefined) ? undefined : wanted.join(', or ');
  };
}

/** The number of a signal that is given by name, such as `SIGTERM` or `TERM`, or by number. Errors: TypeError. */
export function signalNumber(call: string, signal: string | number): number {
  const number = parseSignal(String(signal));
  if (number === undefined)
    throw new TypeError(`${call}: "signal" is ${show(signal)}, wanted the name or number of a signal`);
  return number;
}

/** A value as a message shows it. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return 'a list';
  if (value === null || typeof value !== 'object') return typeof value === 'function' ? 'a function' : String(value);
  return 'an object';
}
