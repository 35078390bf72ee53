import { errnoText } from './util/errno.ts';
import { remedyOfErrno } from './util/remedies.ts';

/**
 * What can go wrong on purpose. Everything else that is thrown is a bug and shows its stack.
 *
 * - `usage`        the command line makes no sense
 * - `id`           a container id that is empty or has characters outside `[A-Za-z0-9_+.-]`
 * - `exists`       a container with this id is already there
 * - `not-found`    no container with this id
 * - `status`       the container is in a status that does not allow the operation
 * - `bundle`       config.json or the rootfs cannot be read
 * - `config`       config.json does not follow the specification; `issues` lists every place
 * - `unsupported`  valid, but this host or this version cannot do it
 * - `step`         a step of a program failed; `step` names it
 * - `init`         the init process died or broke the protocol
 * - `program`      the container's program cannot be run (argv[0] or cwd)
 * - `cgroup`       a cgroup could not be made, written or removed
 * - `hook`         a hook failed
 * - `state`        the state directory is damaged or cannot be written
 * - `criu`         CRIU could not save or restore a container, or an image is not what it should be
 * - `host`         the machine lacks something tsrun needs
 */
export type ErrorCode =
  | 'usage'
  | 'id'
  | 'exists'
  | 'not-found'
  | 'status'
  | 'bundle'
  | 'config'
  | 'unsupported'
  | 'step'
  | 'init'
  | 'program'
  | 'cgroup'
  | 'hook'
  | 'state'
  | 'criu'
  | 'host';

/** One problem of a document. */
export interface Issue {
  /** JSON pointer (RFC 6901) to the place; the empty string is the document itself. */
  readonly pointer: string;
  /** One clause, lower case, no full stop: what is wrong, what was found and what was wanted. */
  readonly message: string;
}

/**
 * What a step is for, where a failure has causes that the step alone cannot tell: whoever explains it goes by this and never by words.
 *
 * - `find program`            looks for the program under each entry of PATH
 * - `execute program`         becomes the program, which was found before
 * - `create user namespace`   enters a new user namespace
 * - `create namespaces`       makes new namespaces of other types
 * - `map ids of a mount`      shows a mount through an id map
 * - `set sysctl`              writes the value of a kernel parameter
 */
export type StepPurpose =
  | 'find program'
  | 'execute program'
  | 'create user namespace'
  | 'create namespaces'
  | 'map ids of a mount'
  | 'set sysctl';

/** The step of a program that a failure happened in. */
export interface FailedStep {
  readonly index: number;
  readonly label: string;
  readonly call: string;
  readonly errno: string;
  readonly pointer?: string;
  readonly purpose?: StepPurpose;
}

/** What a failure knows beside its code and its text. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly issues?: readonly Issue[];
  readonly step?: FailedStep;
  /** The errno's name, where a system call is behind the failure. */
  readonly errno?: string;
  /** JSON pointer of what in config.json asked for it; the message ends in it. */
  readonly pointer?: string | undefined;
  /** What a command puts before the message, because its callers look for it there. */
  readonly prefix?: string;
  /** What mends it, from `util/remedies.ts`; the message ends in it. */
  readonly hint?: string | undefined;
}

/** An expected failure: one clear line for the caller, a code for programs. */
export class TsrunError extends Error {
  static {
    // A bundler renames a class that speaks of itself, and Node shows the name of the class.
    Object.defineProperty(this, 'name', { value: 'TsrunError' });
  }

  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly step: FailedStep | undefined;
  readonly errno: string | undefined;
  readonly pointer: string | undefined;
  readonly prefix: string;
  readonly hint: string | undefined;
  /** The message without the prefix, the pointer and the hint. */
  readonly text: string;

  constructor(code: ErrorCode, text: string, details: ErrorDetails = {}) {
    const { cause, pointer, prefix = '' } = details;
    const errno = details.errno ?? details.step?.errno;
    const hint = details.hint ?? remedyOfErrno(errno);
    const where = pointer === undefined ? '' : ` (${pointer} of config.json)`;
    const remedy = hint === undefined ? '' : `; ${hint}`;
    super(`${prefix}${text}${where}${remedy}`, cause === undefined ? undefined : { cause });
    this.name = 'TsrunError';
    this.code = code;
    this.pointer = pointer;
    this.prefix = prefix;
    this.text = text;
    this.issues = details.issues ?? [];
    this.step = details.step;
    this.errno = errno;
    this.hint = hint;
  }

  /**
   * The failure of an action, such as `open "/x"`, with the reason behind it: the words of the errno that the cause carries, or else
   * the cause's own message. A cause that is a name of an errno, such as `EBUSY`, is that errno.
   */
  static of(code: ErrorCode, action: string, cause: unknown, details: Omit<ErrorDetails, 'cause'> = {}): TsrunError {
    const errno = errnoOf(cause);
    const kept = typeof cause === 'string' ? {} : { cause };
    return new TsrunError(code, `${action}: ${explainCause(cause)}`, {
      ...kept,
      ...(errno === undefined ? {} : { errno }),
      ...details,
    });
  }

  /** The same failure behind a prefix. */
  withPrefix(prefix: string): TsrunError {
    return this.#with({ prefix: prefix + this.prefix });
  }

  /** The same failure with what mends it. */
  withHint(hint: string | undefined): TsrunError {
    return hint === undefined ? this : this.#with({ hint });
  }

  /** The same failure with what asked for it. */
  withPointer(pointer: string | undefined): TsrunError {
    return this.#with({ pointer });
  }

  /** The same failure with more of its cause. */
  withMore(more: string): TsrunError {
    return this.#with({}, `${this.text}; ${more}`);
  }

  #with(details: ErrorDetails, text = this.text): TsrunError {
    const { code, prefix, issues, step, errno, pointer, hint } = this;
    return new TsrunError(code, text, {
      ...{ cause: this, prefix, issues, pointer, hint },
      ...(step && { step }),
      ...(errno !== undefined && { errno }),
      ...details,
    });
  }
}

/** Why something failed, to stand behind what was being done: the words of the errno, or else the error's own message. */
export function explainCause(cause: unknown): string {
  const errno = errnoOf(cause);
  if (errno !== undefined) return errnoText(errno);
  return cause instanceof Error ? cause.message : String(cause);
}

/** The name of the errno that an error carries: one of ours, one of Node, or the name itself. */
function errnoOf(cause: unknown): string | undefined {
  if (cause instanceof TsrunError) return cause.errno;
  const code = typeof cause === 'string' ? cause : (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(E[A-Z0-9]+|errno \d+)$/.test(code) ? code : undefined;
}

/** More than these nobody reads in one go. */
const MOST_ISSUES = 50;

/** Joins the issues of a document into one message: a line each, the pointer first. */
export function describeIssues(title: string, issues: readonly Issue[]): string {
  const lines = issues
    .slice(0, MOST_ISSUES)
    .map(({ pointer, message }) => `${pointer === '' ? '/' : pointer}: ${message}`);
  if (issues.length === 1) return `${title}: ${lines[0] ?? ''}`;
  if (issues.length > lines.length) lines.push(`and ${issues.length - lines.length} more`);
  return [`${title}: ${issues.length} problems`, ...lines.map((line) => `  ${line}`)].join('\n');
}
