import type { Requirement, Result } from './requirement.ts';

/** Lines of TAP 14 for one test point of a subtest, which always name the section. */
export function testPoint(number: number, requirement: Requirement, { outcome, durationMs }: Result): string[] {
  const { id, title, file, heading, level, says } = requirement;
  const isOk = outcome.kind !== 'fail';
  const told = outcome.kind === 'fail' ? { message: outcome.what, wanted: outcome.wanted, found: outcome.found } : {};
  return [
    `${testLine(isOk, number, `${id}: ${title}`)}${directiveOf(requirement, outcome)}`,
    '  ---',
    ...yaml({ section: `${file}, ${heading}`, level, duration_ms: Math.round(durationMs), ...told }),
    ...yaml(says === undefined ? {} : { says }),
    '  ...',
  ];
}

/** `lines` as a subtest: the header, the indented lines with their plan, and the point of the outer test. */
export function subtest(
  number: number,
  name: string,
  { points, isOk }: { readonly points: readonly (readonly string[])[]; readonly isOk: boolean },
): string[] {
  const inner = [...points.flat(), `1..${points.length}`];
  return [`# Subtest: ${escapeText(name)}`, ...inner.map((line) => `    ${line}`), testLine(isOk, number, name)];
}

export function testLine(isOk: boolean, number: number, description: string): string {
  return `${isOk ? 'ok' : 'not ok'} ${number} - ${escapeText(description)}`;
}

export function directive(word: 'SKIP' | 'TODO', reason: string): string {
  return ` # ${word} ${oneLine(reason)}`;
}

function directiveOf({ disputed }: Requirement, outcome: Result['outcome']): string {
  if (outcome.kind === 'skip') return directive('SKIP', outcome.reason);
  if (disputed !== undefined) return directive('TODO', `disputed: ${disputed}`);
  return '';
}

/** Lines of a YAML block. */
export function yaml(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
}

/** In a description `#` would begin a directive, and a backslash an escape. */
function escapeText(text: string): string {
  return oneLine(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
