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
  | 'host';

/** One problem of a document. */
export interface Issue {
  /** JSON pointer (RFC 6901) to the place; the empty string is the document itself. */
  readonly pointer: string;
  /** One clause, lower case, no full stop: what is wrong, what was found and what was wanted. */
  readonly message: string;
}

/** The step of a program that a failure happened in. */
export interface FailedStep {
  readonly index: number;
  readonly label: string;
  readonly call: string;
  readonly errno: string;
  readonly pointer?: string;
}

export interface ErrorDetails {
  readonly cause?: unknown;
  readonly issues?: readonly Issue[];
  readonly step?: FailedStep;
  /** The errno's name, where a system call is behind the failure. */
  readonly errno?: string;
}

/** An expected failure: one clear line for the caller, a code for programs. */
export class TsrunError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly step: FailedStep | undefined;
  readonly errno: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TsrunError';
    this.code = code;
    this.issues = details.issues ?? [];
    this.step = details.step;
    this.errno = details.errno ?? details.step?.errno;
  }
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
