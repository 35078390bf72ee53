import type { ContainerStatus } from '../container/store/options.ts';
import { capabilityNumbers } from '../util/capability-names.ts';
import { SIGNALS } from '../util/signals.ts';
import type { Command, Offer } from './command.ts';
import { findLong, findShort, type OptionSpec, type OptionTable } from './options/table.ts';

/** What a command line is completed by: the options of tsrun, and its commands with theirs. */
export interface CompletionTable {
  readonly options: OptionTable;
  readonly commands: Readonly<Record<string, Command>>;
}

/** A word that could come next. */
export interface OfferedWord {
  readonly word: string;
  readonly description?: string;
}

/** What could come next: words, a file of the host's, or the id of a container with one of the statuses. */
export type Completion =
  | { readonly kind: 'words'; readonly words: readonly OfferedWord[] }
  | { readonly kind: 'files' | 'directories' }
  | {
      readonly kind: 'ids';
      readonly statuses: readonly ContainerStatus['status'][];
      /** Those that are on the line already. Default: none. */
      readonly except?: readonly string[];
    };

/** What a line of words asks for. */
export interface Completed {
  readonly completion: Completion;
  /** What of the line stands before the command. */
  readonly globalArguments: readonly string[];
}

const NOTHING: Completion = { kind: 'words', words: [] };

/** What could stand in the place of the last of the words, which may be empty; the name of the program is not one of them. */
export function completeLine(line: readonly string[], { options, commands }: CompletionTable): Completed {
  const words = line.slice(0, -1);
  const last = line.at(-1) ?? '';
  const global = walk(words, { options, literalAfter: 0 });
  const [name, ...rest] = global.positionals;
  const names = offerCommands(commands);
  if (name === undefined)
    return { completion: complete(last, { part: global, options, offers: [names] }), globalArguments: words };
  const globalArguments = words.slice(0, words.length - rest.length - 1);
  if (name === 'help') return { completion: rest.length === 0 ? fitting(names.words, last) : NOTHING, globalArguments };
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return { completion: NOTHING, globalArguments };
  const { offers = [], positionals } = command;
  const own = { ...command.options, help: { type: 'boolean', description: 'print how it is called' } } as const;
  const part = walk(rest, { options: own, literalAfter: positionals.literalFrom ?? Number.POSITIVE_INFINITY });
  return {
    completion: complete(last, { part, options: own, offers, repeats: positionals.repeats === true }),
    globalArguments,
  };
}

function offerCommands(commands: CompletionTable['commands']): { readonly words: readonly OfferedWord[] } {
  return { words: Object.entries(commands).map(([word, { description }]) => ({ word, description })) };
}

/** The words before the last, as far as they can be understood. */
interface Part {
  readonly given: ReadonlySet<string>;
  readonly positionals: readonly string[];
  /** The option whose value comes next. */
  readonly wanting?: string;
  /** What comes next is no option of ours. */
  readonly isLiteral: boolean;
}

interface Rules {
  readonly options: OptionTable;
  readonly literalAfter: number;
}

// Like canonicalArguments(), but nothing is refused: a line that is being written may be wrong.
function walk(words: readonly string[], { options, literalAfter }: Rules): Part {
  const given = new Set<string>();
  const positionals: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '--') return { given, positionals: [...positionals, ...words.slice(index + 1)], isLiteral: true };
    if (word === '-' || !word.startsWith('-')) {
      positionals.push(word);
      if (positionals.length <= literalAfter) continue;
      return { given, positionals: [...positionals, ...words.slice(index + 1)], isLiteral: true };
    }
    const names = optionsOf(word, options);
    for (const name of names) given.add(name);
    const wanting = names.at(-1);
    if (wanting === undefined || takesNoWord(options[wanting]) || word.includes('=')) continue;
    index++;
    if (index === words.length) return { given, positionals, wanting, isLiteral: false };
  }
  return { given, positionals, isLiteral: false };
}

function takesNoWord(spec: OptionSpec | undefined): boolean {
  return spec?.type === 'boolean' || spec?.isBare === true;
}

/** The names of the options that a word stands for: one, or several letters. */
function optionsOf(word: string, options: OptionTable): string[] {
  const name = word.replace(/^--?/, '').replace(/=.*$/s, '');
  const long = findLong(options, name);
  if (long !== undefined) return [long];
  return word.startsWith('--') ? [] : Array.from(name).flatMap((letter) => findShort(options, letter) ?? []);
}

interface Place {
  readonly part: Part;
  readonly options: OptionTable;
  readonly offers: readonly (Offer | { readonly words: readonly OfferedWord[] })[];
  /** The last of the offers is for all that follow as well. */
  readonly repeats?: boolean;
}

function complete(last: string, { part, options, offers, repeats = false }: Place): Completion {
  const { given, positionals, wanting, isLiteral } = part;
  if (wanting !== undefined) return completeValue(options[wanting], last);
  if (!isLiteral && last.startsWith('-')) {
    const [, prefix = '', name = '', value = ''] = /^(--([^=]+)=)(.*)$/s.exec(last) ?? [];
    if (prefix === '') return fitting(offerOptions(options, given), last);
    const completion = completeValue(options[findLong(options, name) ?? ''], value);
    if (completion.kind !== 'words') return completion;
    return { kind: 'words', words: completion.words.map(({ word }) => ({ word: `${prefix}${word}` })) };
  }
  const offer = offers[positionals.length] ?? (repeats ? offers.at(-1) : undefined);
  if (offer === undefined) return NOTHING;
  if ('kind' in offer) return offer;
  if ('statuses' in offer)
    return { kind: 'ids', statuses: offer.statuses(given), ...(repeats && { except: positionals }) };
  if (offer.words === 'files') return { kind: 'files' };
  if (offer.words === 'signals') return fitting(offerSignals(last), last);
  return fitting(offer.words, last);
}

function offerOptions(options: OptionTable, given: ReadonlySet<string>): OfferedWord[] {
  return Object.entries(options)
    .filter(([name, { type, unsupported }]) => unsupported !== true && (type === 'strings' || !given.has(name)))
    .map(([name, { description }]) => ({ word: `--${name}`, description }));
}

function completeValue(spec: OptionSpec | undefined, last: string): Completion {
  if (spec?.values !== undefined) return fitting(spec.values, last);
  switch (spec?.placeholder) {
    case 'DIR':
      return { kind: 'directories' };
    case 'FILE':
    case 'PATH':
    case 'TARGET':
      return { kind: 'files' };
    case 'CAP':
      return fitting([...capabilityNumbers.keys()], last);
    default:
      return NOTHING;
  }
}

/** Names of signals, with SIG where somebody has begun so. */
function offerSignals(last: string): string[] {
  const prefix = last.startsWith('SI') ? 'SIG' : '';
  const twice = new Set(['IOT', 'CLD', 'POLL']);
  const names = Object.keys(SIGNALS).filter((name) => !twice.has(name));
  return [...names, 'RTMIN', 'RTMAX'].map((name) => `${prefix}${name}`);
}

function fitting(words: readonly (string | OfferedWord)[], last: string): Completion {
  const all = words.map((word) => (typeof word === 'string' ? { word } : word));
  return { kind: 'words', words: all.filter(({ word }) => word.startsWith(last)) };
}
