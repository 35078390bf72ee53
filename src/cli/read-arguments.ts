import parse from 'yargs-parser';
import { canonicalArguments, type ArgumentRules } from './canonical-arguments.ts';
import type { OptionTable, OptionValues } from './options/table.ts';

/** Arguments after they were read against a table of options. */
export interface ReadArguments<Table extends OptionTable> {
  readonly values: OptionValues<Table>;
  readonly positionals: readonly string[];
}

// Nothing is derived from an option's name or value: `--no-pivot` is no negation and `00` is no number.
const configuration = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

/**
 * The options and positionals of an argument list.
 *
 * Only the parser of yargs is loaded here, and by itself: the rest of yargs, which `yargs/helpers` brings along, measures
 * and wraps help texts, and takes longer to load than Node does to start.
 * Errors: `usage` and `unsupported`, one line that names the argument at fault.
 */
export function readArguments<const Table extends OptionTable>(
  args: readonly string[],
  rules: ArgumentRules & { readonly table: Table },
): ReadArguments<Table> {
  const { options, positionals } = canonicalArguments(args, rules);
  const names = Object.keys(rules.table);
  const withText = names.filter((name) => rules.table[name]?.type !== 'boolean');
  const parsed = parse([...options], {
    boolean: names.filter((name) => rules.table[name]?.type === 'boolean'),
    string: withText,
    // Without a count, the parser takes off quotes around a value.
    narg: Object.fromEntries(withText.map((name) => [name, 1])),
    configuration,
  });
  const values = names.map((name) => [name, valueOf(parsed[name], rules.table[name]?.type)]);
  return { values: Object.fromEntries(values) as OptionValues<Table>, positionals };
}

// The parser gives a list for what was given twice, and the bare value otherwise.
function valueOf(parsed: unknown, type: string | undefined): unknown {
  const all: unknown[] = parsed === undefined ? [] : Array.isArray(parsed) ? parsed : [parsed];
  return type === 'strings' ? all : all.at(-1);
}
