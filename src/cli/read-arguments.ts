import { canonicalArguments, type ArgumentRules } from './canonical-arguments.ts';
import type { OptionTable, OptionValues } from './options/table.ts';

/** Arguments after they were read against a table of options. */
export interface ReadArguments<Table extends OptionTable> {
  readonly values: OptionValues<Table>;
  readonly positionals: readonly string[];
}

/**
 * The options and positionals of an argument list.
 *
 * In their canonical form options only have to be collected. yargs, which writes the help texts, is not asked for it: its parser alone,
 * run once and not compiled by then, takes a seventh of the shortest command's time.
 * Errors: `usage` and `unsupported`, one line that names the argument at fault.
 */
export function readArguments<const Table extends OptionTable>(
  args: readonly string[],
  rules: ArgumentRules & { readonly table: Table },
): ReadArguments<Table> {
  const { options, positionals } = canonicalArguments(args, rules);
  const values: Record<string, boolean | string | readonly string[] | undefined> = {};
  for (const name of Object.keys(rules.table)) {
    const given = options.filter((option) => option.name === name).map(({ value }) => value);
    const type = rules.table[name]?.type;
    values[name] = type === 'strings' ? given : type === 'boolean' ? toBoolean(given.at(-1)) : given.at(-1);
  }
  return { values: values as OptionValues<Table>, positionals };
}

function toBoolean(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text === 'true';
}
