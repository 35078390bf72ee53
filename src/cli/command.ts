import type { Log } from '../log.ts';
import type { ContainerStatus, RuntimeOptions } from '../container/store/options.ts';
import type { Operations } from './operations.ts';
import type { GlobalOptions } from './options/global.ts';
import type { OptionTable, OptionValues } from './options/table.ts';
import type { ReadArguments } from './read-arguments.ts';
import type { Surroundings } from './surroundings.ts';
import type { Version } from '../host/version.ts';

/** A command that is not loaded yet. */
export interface CommandEntry {
  /** The same line as the command's own, which the list of commands shows without loading it. */
  readonly description: string;
  load(): Promise<{ readonly command: Command }>;
}

/** What a command is run with beside its own arguments. */
export interface CommandContext {
  readonly global: GlobalOptions;
  readonly runtime: RuntimeOptions;
  readonly log: Log;
  readonly surroundings: Surroundings;
  readonly operations: Operations;
  readonly readVersion: () => Version;
  /** Name -> command, for the one that tells a shell about all of them. */
  readonly commandTable: Readonly<Record<string, CommandEntry>>;
}

/** How many positionals a command takes. */
export interface PositionalCount {
  readonly minimum: number;
  readonly maximum: number;
  /** The positional with this index, from 0, and all that follows are a program's and never options of ours. */
  readonly literalFrom?: number;
  /** All behind the last that the offers are for are like that one. */
  readonly repeats?: boolean;
}

/** What a shell offers for a positional. */
export type Offer =
  | { readonly kind: 'files' | 'directories' }
  | { readonly words: readonly string[] | 'signals' | 'files' }
  | { readonly statuses: (given: ReadonlySet<string>) => readonly ContainerStatus['status'][] };

/** Ids of containers with one of the statuses. With the option that is named, any will do. */
export function idsOf(statuses: readonly ContainerStatus['status'][], anyWith?: string): Offer {
  const every = ['creating', 'created', 'running', 'paused', 'stopped'] as const;
  return { statuses: (given) => (anyWith !== undefined && given.has(anyWith) ? every : statuses) };
}

/** A command line, and what it does. */
export type Example = readonly [line: string, what: string];

/** One verb of the command line. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands: lower case, no full stop. */
  readonly description: string;
  /** The positionals in words, such as `ID [SIGNAL]`. */
  readonly usage: string;
  readonly positionals: PositionalCount;
  readonly options: OptionTable;
  /** What a shell offers for each positional. */
  readonly offers?: readonly Offer[];
  /** For the help text. */
  readonly examples?: readonly Example[];
  /** Paragraphs for the help text. */
  readonly notes?: readonly string[];
  /** For somebody who gives more or fewer arguments than it takes: what other tools may have taught them. */
  readonly advice?: string;
  /** Stands before the message of a failure. Callers and their users search logs for it. */
  readonly failurePrefix?: string;
  /** The exit code of a failure that is no `usage`. Default: 1. */
  readonly failureExitCode?: number;
  /** Shape: the exit code. */
  run(args: ReadArguments<OptionTable>, context: CommandContext): Promise<number>;
}

/** A command as it is written: its arguments are typed by its own table of options. */
export interface CommandDefinition<Table extends OptionTable> extends Omit<Command, 'options' | 'run'> {
  readonly options: Table;
  run(args: { values: OptionValues<Table>; positionals: readonly string[] }, context: CommandContext): Promise<number>;
}

/** How a command is called, such as `tsrun kill [options] ID [SIGNAL]`. */
export function usageLine({ name, usage, options }: Pick<Command, 'name' | 'usage' | 'options'>): string {
  const parts = ['tsrun', name, Object.keys(options).length > 0 ? '[options]' : '', usage];
  return parts.filter((part) => part !== '').join(' ');
}

/** A command for the command line to run. The reader of arguments, which goes by the same table, upholds the types. */
export function defineCommand<const Table extends OptionTable>(definition: CommandDefinition<Table>): Command {
  return definition;
}
