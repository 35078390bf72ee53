import { day, escapeCell, markdownTable } from './markdown.ts';
import { cellOf, countOf, failuresOf, reasonOf, type Report, type RuntimeReport } from './report.ts';
import type { Requirement } from './requirement.ts';

/** RESULTS.md: totals, the table of requirements and runtimes, and the reasons of failures and skips. */
export function markdownReport(report: Report, requirements: readonly Requirement[]): string {
  const { date, kernel, runtimes } = report;
  const names = runtimes.map(({ name }) => escapeCell(name));
  return [
    '# Conformance results',
    '',
    `${day(date)}, ${kernel}, ${requirements.length} requirements. Made by \`npm run conformance\`.`,
    '',
    ...markdownTable(
      ['runtime', 'passed', 'failed', 'skipped', 'disputed', 'notes'],
      runtimes.map((runtime) => totals(runtime, requirements)),
    ),
    '',
    '## Requirements',
    '',
    ...markdownTable(
      ['requirement', 'section', 'level', ...names],
      requirements.map((requirement) => [
        `\`${requirement.id}\` ${escapeCell(requirement.title)}`,
        escapeCell(`${requirement.file}, ${requirement.heading}`),
        requirement.level,
        ...runtimes.map((runtime) => cellOf(requirement, runtime)),
      ]),
    ),
    '',
    ...runtimes.flatMap((runtime) => details(runtime, requirements)),
    ...disputes(requirements),
  ].join('\n');
}

function totals(runtime: RuntimeReport, requirements: readonly Requirement[]): string[] {
  const { passed, failed, skipped, disputed } = countOf(runtime, requirements);
  return [escapeCell(runtime.name), ...[passed, failed, skipped, disputed].map(String), runtime.notes.join('; ')];
}

function details(runtime: RuntimeReport, requirements: readonly Requirement[]): string[] {
  const skipped = requirements.filter((requirement) => cellOf(requirement, runtime) === 'skip');
  const line = (requirement: Requirement): string =>
    `- \`${requirement.id}\`: ${escapeCell(reasonOf(requirement, runtime))}`;
  const failed = failuresOf(runtime, requirements).map((requirement) => {
    const says =
      requirement.says === undefined ? '' : ` (${requirement.file}, ${requirement.heading}: ${requirement.says})`;
    return `${line(requirement)}${says}`;
  });
  return [
    `## ${runtime.name}`,
    '',
    ...(failed.length > 0 ? ['Failed:', '', ...failed, ''] : ['Nothing failed.', '']),
    ...(skipped.length > 0 ? ['Skipped:', '', ...skipped.map(line), ''] : []),
  ];
}

function disputes(requirements: readonly Requirement[]): string[] {
  const disputed = requirements.filter((requirement) => requirement.disputed !== undefined);
  if (disputed.length === 0) return [];
  return ['## Disputed', '', ...disputed.map(({ id, disputed = '' }) => `- \`${id}\`: ${disputed}`), ''];
}
