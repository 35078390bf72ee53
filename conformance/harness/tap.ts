import type { Requirement, Result } from './requirement.ts';

/** Lines of TAP 14 for one test point of a subtest. */
export function testPoint(number: number, requirement: Requirement, { outcome, durationMs }: Result): string[] {
  const { id, title, file, heading, level, disputed } = requirement;
  const isOk = outcome.kind !== 'fail';
  const directive = directiveOf(requirement, outcome);
  const lines = [`${isOk ? 'ok' : 'not ok'} ${number} - ${escapeText(`${id}: ${title}`)}${directive}`];
  if (isOk && disputed === undefined) return lines;
  lines.push('  ---', ...yaml({ section: `${file}, ${heading}`, level, duration_ms: Math.round(durationMs) }));
  if (outcome.kind === 'fail')
    lines.push(...yaml({ message: outcome.what, wanted: outcome.wanted, found: outcome.found }));
  if (requirement.says !== undefined) lines.push(...yaml({ says: requirement.says }));
  lines.push('  ...');
  return lines;
}

/** `lines` as a subtest: the header, the indented lines with their plan, and the point of the outer test. */
export function subtest(
  number: number,
  name: string,
  { points, isOk }: { readonly points: readonly (readonly string[])[]; readonly isOk: boolean },
): string[] {
  const inner = [...points.flat(), `1..${points.length}`];
  return [
    `# Subtest: ${escapeText(name)}`,
    ...inner.map((line) => `    ${line}`),
    `${isOk ? 'ok' : 'not ok'} ${number} - ${escapeText(name)}`,
  ];
}

function directiveOf({ disputed }: Requirement, outcome: Result['outcome']): string {
  if (outcome.kind === 'skip') return ` # SKIP ${oneLine(outcome.reason)}`;
  if (disputed !== undefined) return ` # TODO disputed: ${oneLine(disputed)}`;
  return '';
}

function yaml(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
}

/** In a description `#` would begin a directive, and a backslash an escape. */
function escapeText(text: string): string {
  return oneLine(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
