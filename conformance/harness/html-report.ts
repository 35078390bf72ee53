import { cellOf, countOf, reasonOf, type Report, type RuntimeReport } from './report.ts';
import type { Requirement } from './requirement.ts';

const STYLE = `body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #ccc;padding:.25rem .5rem;text-align:left;vertical-align:top}
th{background:#f3f3f3;position:sticky;top:0}code{font-size:.9em}small{color:#666}
.pass{background:#dff3df}.fail{background:#f6c9c9}.skip{background:#eee}.disputed{background:#fdf0c8}`;

/** RESULTS.html: the same as RESULTS.md on one page without references to anything outside it. */
export function htmlReport(report: Report, requirements: readonly Requirement[]): string {
  const { date, kernel, runtimes } = report;
  const heads = runtimes.map(({ name }) => `<th>${escapeHtml(name)}</th>`).join('');
  const day = date.toISOString().slice(0, 10);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Conformance results</title><style>${STYLE}</style></head><body>
<h1>Conformance results</h1>
<p>${day}, ${escapeHtml(kernel)}, ${requirements.length} requirements</p>
<table><tr><th>runtime</th><th>passed</th><th>failed</th><th>skipped</th><th>disputed</th><th>notes</th></tr>
${runtimes.map((runtime) => totals(runtime, requirements)).join('\n')}
</table>
<table><tr><th>requirement</th><th>section</th><th>level</th>${heads}</tr>
${requirements.map((requirement) => row(requirement, runtimes)).join('\n')}
</table>
</body></html>
`;
}

function totals(runtime: RuntimeReport, requirements: readonly Requirement[]): string {
  const { passed, failed, skipped, disputed } = countOf(runtime, requirements);
  const cells = [runtime.name, passed, failed, skipped, disputed, runtime.notes.join('; ')];
  return `<tr>${cells.map((cell) => `<td>${escapeHtml(String(cell))}</td>`).join('')}</tr>`;
}

function row(requirement: Requirement, runtimes: readonly RuntimeReport[]): string {
  const { id, title, file, heading, level, says, disputed } = requirement;
  const notes = [says, disputed === undefined ? undefined : `disputed: ${disputed}`].filter(
    (note) => note !== undefined,
  );
  const more = notes.map((note) => `<br><small>${escapeHtml(note)}</small>`).join('');
  const cells = runtimes.map((runtime) => {
    const cell = cellOf(requirement, runtime);
    const style = cell.startsWith('disputed') ? 'disputed' : cell.toLowerCase();
    const reason = reasonOf(requirement, runtime);
    const detail = reason === '' ? '' : `<br><small>${escapeHtml(reason)}</small>`;
    return `<td class="${style}">${cell}${detail}</td>`;
  });
  const section = escapeHtml(`${file}, ${heading}`);
  return `<tr><td><code>${id}</code><br>${escapeHtml(title)}${more}</td><td>${section}</td><td>${level}</td>${cells.join('')}</tr>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
