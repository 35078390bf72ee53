import type { Case } from './case.ts';

/** One statement of the specification that a runtime can be held to. */
export interface Requirement {
  /** Dotted words, unlike any other's: `start.twice`. */
  readonly id: string;
  /** What a runtime does that keeps to it. */
  readonly title: string;
  /** File of the specification, such as `config.md`. */
  readonly file: string;
  /** Heading in that file. */
  readonly heading: string;
  readonly level: 'MUST' | 'SHOULD';
  /** Version of the specification that first has it, where that is later than 1.0.0: a failure of an older runtime is none. */
  readonly since?: string;
  /** What the section says, in a sentence of our own: for those that well-known runtimes fail. */
  readonly says?: string;
  /** Why the section can be read in another way. Such a requirement is shown, and not counted. */
  readonly disputed?: string;
  /** Throws a `Failure` or a `Skip`. */
  readonly run: (c: Case) => Promise<void>;
}

/** The runtime does not keep to the requirement. */
export class Failure extends Error {
  readonly wanted: string;
  readonly found: string;

  constructor(what: string, { wanted, found }: { readonly wanted: unknown; readonly found: unknown }) {
    super(what);
    this.wanted = asText(wanted);
    this.found = asText(found);
  }
}

/** The kernel or the machine lacks what the requirement is about. */
export class Skip extends Error {}

export type Outcome =
  | { readonly kind: 'pass' }
  | { readonly kind: 'fail'; readonly what: string; readonly wanted: string; readonly found: string }
  | { readonly kind: 'skip'; readonly reason: string };

/** Outcome of one requirement, as a worker reports it. */
export interface Result {
  readonly id: string;
  readonly outcome: Outcome;
  readonly durationMs: number;
}

export function outcomeOf(error: unknown): Outcome {
  if (error instanceof Skip) return { kind: 'skip', reason: error.message };
  if (error instanceof Failure) return { kind: 'fail', what: error.message, wanted: error.wanted, found: error.found };
  const found = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: 'fail', what: 'the suite itself failed', wanted: 'no exception', found };
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? 'undefined' : JSON.stringify(value);
}

type Extra = Pick<Requirement, 'says' | 'disputed' | 'since'>;
type Define = (id: string, title: string, run: Requirement['run'], extra?: Extra) => Requirement;

/** Makers of the requirements of one section. */
export function section(file: string, heading: string): { readonly must: Define; readonly should: Define } {
  const maker =
    (level: Requirement['level']): Define =>
    (id, title, run, extra = {}) => ({ id, title, file, heading, level, ...extra, run });
  return { must: maker('MUST'), should: maker('SHOULD') };
}
