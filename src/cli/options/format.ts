import type { OptionSpec } from './table.ts';

/** `--format` of what is a list. */
export const listFormat = {
  type: 'string',
  short: 'f',
  placeholder: 'FORMAT',
  values: ['table', 'json'],
  default: 'table',
  description: 'table or json',
} as const satisfies OptionSpec;

/** `--format` of what is a report. Without a letter: where there is a bundle, `-f` is its configuration. */
export const reportFormat = {
  type: 'string',
  placeholder: 'FORMAT',
  values: ['text', 'json'],
  default: 'text',
  description: 'text or json',
} as const satisfies OptionSpec;
