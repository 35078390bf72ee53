import { wording } from '../util/wording.ts';
import { TsrunError } from '../errors.ts';
import { ArgumentError } from './argument-error.ts';
import { nearestName } from '../util/nearest-name.ts';
import { OPTION_HABITS } from './options/habits.ts';
import { findLong, findShort, type OptionSpec, type OptionTable } from './options/table.ts';

/** An option as its table names it, however it was written. */
export interface CanonicalOption {
  readonly name: string;
  /** Of a boolean `true` or `false`. */
  readonly value: string;
}

/** Arguments in one form. */
export interface CanonicalArguments {
  /** In the order given. */
  readonly options: readonly CanonicalOption[];
  readonly positionals: readonly string[];
}

/** What the arguments are read by. */
export interface ArgumentRules {
  readonly table: OptionTable;
  /** How messages name what the options belong to, such as ` of "exec"`. */
  readonly owner: string;
  /** Options that stand before the command. */
  readonly before?: OptionTable;
  /** How many positionals come before one that makes all that follows it literal. Default: none does. */
  readonly literalAfter?: number;
}

/**
 * Reads arguments without guessing.
 *
 * The callers of a runtime need what the parser of yargs does not do, whatever its settings:
 *
 * - `-log x`, as containerd writes it, is the option `log` and not the letters l, o and g
 * - `--arg --x`: a value may begin with a dash, where the parser drops `--arg` and sets `x`
 * - `--tty true`: a container may be called `true`, which the parser gives to the boolean before it
 * - `--tty=yes` and `--tty=t` are true to callers and false to the parser; other texts are refused
 * - what has no value, is unknown or not supported is refused with its name; the parser sets it, drops it, or takes it for a positional
 * - the options of the program that `exec` runs are not ours: they begin behind the second positional, and `halt-at-non-option` knows
 *   only the first
 *
 * `--` and `-dt` for `-d -t` it would read as well. They stay: to find the values and the positionals above, all arguments are walked,
 * and a group has to be looked into for an unknown letter and for a last one that takes a value.
 * Errors: `usage`; `unsupported` for an option known to be so.
 */
export function canonicalArguments(args: readonly string[], rules: ArgumentRules): CanonicalArguments {
  const options: CanonicalOption[] = [];
  const positionals: string[] = [];
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--') {
      positionals.push(...rest.splice(0));
    } else if (argument === '-' || !argument.startsWith('-')) {
      positionals.push(argument);
      if (positionals.length > (rules.literalAfter ?? Number.POSITIVE_INFINITY)) positionals.push(...rest.splice(0));
    } else {
      options.push(...canonicalOption(argument, rest, rules));
    }
  }
  return { options, positionals };
}

// Takes the value of the option from `rest` if it is not part of the argument itself.
function canonicalOption(argument: string, rest: string[], rules: ArgumentRules): CanonicalOption[] {
  const { written, name, value } = splitArgument(argument);
  const isShort = !written.startsWith('--');
  const found = findLong(rules.table, name) ?? (isShort ? findShort(rules.table, name) : undefined);
  if (found !== undefined) return [withValue(written, { name: found, value, rest, rules })];
  if (isShort && name.length > 1) {
    const group = canonicalGroup(name, { value, rest, rules });
    if (group !== undefined) return group;
  }
  throw unknownOption(written, name, rules);
}

function splitArgument(argument: string): { written: string; name: string; value: string | undefined } {
  const equals = argument.indexOf('=');
  const written = equals < 0 ? argument : argument.slice(0, equals);
  const value = equals < 0 ? undefined : argument.slice(equals + 1);
  return { written, name: written.replace(/^--?/, ''), value };
}

interface ValueSource {
  readonly value: string | undefined;
  readonly rest: string[];
  readonly rules: ArgumentRules;
}

// `-dt` is `-d -t`: only the last letter may take a value.
function canonicalGroup(letters: string, source: ValueSource): CanonicalOption[] | undefined {
  const names = letters.split('').map((letter) => findShort(source.rules.table, letter));
  const last = names.at(-1);
  const others = names.slice(0, -1);
  if (last === undefined || others.some((name) => name === undefined || typeOf(name, source.rules) !== 'boolean')) {
    return undefined;
  }
  const lastOption = withValue(`-${letters.slice(-1)}`, { name: last, ...source });
  return [...others.map((name) => ({ name: name ?? '', value: 'true' })), lastOption];
}

function withValue(written: string, { name, value, rest, rules }: ValueSource & { name: string }): CanonicalOption {
  const spec = rules.table[name] as OptionSpec;
  if (spec.unsupported === true) {
    throw new TsrunError('unsupported', `option "--${name}"${rules.owner} is not supported yet`);
  }
  if (spec.type === 'boolean') return { name, value: `${readBoolean(written, value ?? 'true', rules)}` };
  const text = value ?? (spec.isBare === true ? '' : rest.shift());
  if (text === undefined)
    throw new ArgumentError(`${wording.noValue}: option ${JSON.stringify(written)}${rules.owner} needs a value`);
  return { name, value: text };
}

/** What Go's strconv.ParseBool takes, for runc's callers, and `yes` and `no`, for crun's; nothing for other texts. */
export function parseBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  if (['true', 't', '1', 'yes'].includes(lower)) return true;
  if (['false', 'f', '0', 'no'].includes(lower)) return false;
  return undefined;
}

function readBoolean(written: string, text: string, rules: ArgumentRules): boolean {
  const read = parseBoolean(text);
  if (read !== undefined) return read;
  const value = JSON.stringify(text);
  throw new ArgumentError(
    `invalid value ${value} for option ${JSON.stringify(written)}${rules.owner}: wanted true or false`,
  );
}

function typeOf(name: string, rules: ArgumentRules): OptionSpec['type'] | undefined {
  return rules.table[name]?.type;
}

function unknownOption(written: string, name: string, rules: ArgumentRules): ArgumentError {
  const advice = adviceFor(name, rules);
  const end = advice === undefined ? '' : `; ${advice}`;
  return new ArgumentError(`unknown option ${JSON.stringify(written)}${rules.owner}${end}`);
}

function adviceFor(name: string, { table, before = {} }: ArgumentRules): string | undefined {
  if (findLong(before, name) !== undefined) return `"--${name}" stands before the command`;
  if (Object.hasOwn(OPTION_HABITS, name)) return OPTION_HABITS[name];
  const nearest = nearestName(name, Object.keys(table));
  return nearest === undefined ? undefined : `did you mean "--${nearest}"?`;
}
