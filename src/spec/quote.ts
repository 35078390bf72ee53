import { stringifyJson } from './parse.ts';

// Long enough to recognise a value by, short enough for a message of one line.
const longestQuote = 60;

/** The value as JSON on one line, cut to about 60 characters, for messages. */
export function quote(value: unknown): string {
  const text = stringifyJson(value);
  return text.length <= longestQuote ? text : `${text.slice(0, longestQuote)}...`;
}
