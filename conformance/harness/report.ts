import os from 'node:os';
import type { Requirement, Result } from './requirement.ts';

export interface RuntimeReport {
  /** What it calls itself, such as `runc version 1.1.5`. */
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** Version of the specification that it names; empty where it names none. */
  readonly spec: string;
  /** What had to be changed so that it runs here. */
  readonly notes: readonly string[];
  /** Id -> result. */
  readonly results: ReadonlyMap<string, Result>;
}

export interface Report {
  readonly date: Date;
  readonly kernel: string;
  readonly runtimes: readonly RuntimeReport[];
}

export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Shown and not counted elsewhere, whatever came of them. */
  readonly disputed: number;
}

export type Cell = 'pass' | 'FAIL' | 'skip' | 'disputed, pass' | 'disputed, fail';

export function cellOf(requirement: Requirement, runtime: RuntimeReport): Cell {
  const kind = runtime.results.get(requirement.id)?.outcome.kind ?? 'fail';
  if (kind === 'skip') return 'skip';
  if (requirement.disputed !== undefined) return `disputed, ${kind}`;
  return kind === 'pass' ? 'pass' : 'FAIL';
}

export function countOf(runtime: RuntimeReport, requirements: readonly Requirement[]): Count {
  const cells = requirements.map((requirement) => cellOf(requirement, runtime));
  const count = (...wanted: readonly Cell[]): number => cells.filter((cell) => wanted.includes(cell)).length;
  return {
    passed: count('pass'),
    failed: count('FAIL'),
    skipped: count('skip'),
    disputed: count('disputed, pass', 'disputed, fail'),
  };
}

/** Requirements that a runtime fails and that are counted. */
export function failuresOf(runtime: RuntimeReport, requirements: readonly Requirement[]): Requirement[] {
  return requirements.filter((requirement) => cellOf(requirement, runtime) === 'FAIL');
}

/** What the reports call this machine: `Linux 6.1.0 x64`. */
export function kernelName(): string {
  return `${os.type()} ${os.release()} ${os.arch()}`;
}

/** Why something was skipped or failed, in a line. */
export function reasonOf(requirement: Requirement, runtime: RuntimeReport): string {
  const outcome = runtime.results.get(requirement.id)?.outcome;
  if (outcome === undefined) return 'no result';
  if (outcome.kind === 'skip') return outcome.reason;
  if (outcome.kind === 'pass') return '';
  return `${outcome.what}: wanted ${outcome.wanted}, found ${outcome.found.slice(0, 300)}`.replaceAll(/\s+/g, ' ');
}
