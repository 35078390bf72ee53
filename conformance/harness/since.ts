import type { Outcome, Requirement } from './requirement.ts';

/**
 * The outcome of a requirement for a runtime that names the version of the specification that it implements: a failure is none
 * where the requirement came with a later version. One that passes anyway has passed. `spec` is empty where it names none.
 */
export function judge({ since }: Pick<Requirement, 'since'>, outcome: Outcome, spec: string): Outcome {
  if (outcome.kind !== 'fail' || since === undefined || spec === '' || !isBefore(spec, since)) return outcome;
  return { kind: 'skip', reason: `the specification has it since ${since}, and the runtime names ${spec}` };
}

/** Whether a version such as `1.0.2-dev` is lower than another. What follows a `-` is left out of it. */
export function isBefore(version: string, other: string): boolean {
  const [a, b] = [numbersOf(version), numbersOf(other)];
  const differing = a.findIndex((number, index) => number !== b[index]);
  return differing >= 0 && (a[differing] ?? 0) < (b[differing] ?? 0);
}

function numbersOf(version: string): number[] {
  const [major = 0, minor = 0, patch = 0] = (version.split('-')[0] ?? '').split('.').map(Number);
  return [major, minor, patch];
}
