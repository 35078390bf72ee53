/** Pieces of Markdown that the reports share. */

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Text in a cell of a table, or in a list: one line in which nothing is markup but what was written as such. */
export function escapeCell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

/** Such as 2026-11-21. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
