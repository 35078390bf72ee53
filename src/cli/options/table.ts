/** One option of a command, or of tsrun itself. */
export interface OptionSpec {
  /** `strings` collects the values of all occurrences; of the others the last occurrence counts. */
  readonly type: 'boolean' | 'string' | 'strings';
  readonly description: string;
  /** The letter after a single dash. */
  readonly short?: string;
  /** Further names, long or of one letter, that callers of other runtimes know it by. */
  readonly aliases?: readonly string[];
  /** What the help text calls the value. */
  readonly placeholder?: string;
  /** It need not have a value, which then stands behind `=`: without one it is the empty text. */
  readonly isBare?: true;
  /** What the value may be, where that is a few words. */
  readonly values?: readonly string[];
  /** What counts where the option is not given, in words for the help text. */
  readonly default?: string;
  /** Known so that callers get a clear refusal in place of `unknown option`. */
  readonly unsupported?: boolean;
}

/** Long name without dashes -> option. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** What is read for each option of a table; `undefined` stands for an option that was not given. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name]['type'] extends 'boolean'
    ? boolean | undefined
    : Table[Name]['type'] extends 'strings'
      ? readonly string[]
      : string | undefined;
};

/** The description of an option, with its default. */
export function describeOption({ description, default: value }: OptionSpec): string {
  return value === undefined ? description : `${description} (default: ${value})`;
}

/** The name of the option with a short letter. */
export function findShort(table: OptionTable, letter: string): string | undefined {
  return Object.keys(table).find((name) => table[name]?.short === letter || hasAlias(table[name], letter));
}

/** The name of the option that a long name or an alias of it stands for. */
export function findLong(table: OptionTable, name: string): string | undefined {
  if (Object.hasOwn(table, name)) return name;
  return name.length > 1 ? Object.keys(table).find((key) => hasAlias(table[key], name)) : undefined;
}

function hasAlias(spec: OptionSpec | undefined, name: string): boolean {
  return spec?.aliases?.includes(name) === true;
}
