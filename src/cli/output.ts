import { escapeControls } from '../util/escape-controls.ts';
import type { ContainerStatus } from '../container/store/options.ts';

/** What `state` prints. Shape: JSON with two spaces a level; `owner` is always empty. Source: runc state.go. */
export function formatState(status: ContainerStatus): string {
  return `${JSON.stringify(statusDocument({ ...status, owner: '' }), undefined, 2)}\n`;
}

/** What `list --format json` prints: an array in one line, or `null` when there is nothing to list. Source: runc list.go. */
export function formatListJson(containers: readonly ContainerStatus[]): string {
  return `${containers.length === 0 ? 'null' : JSON.stringify(containers.map(statusDocument))}\n`;
}

/** What `list --quiet` prints: an id a line. */
export function formatListIds(containers: readonly ContainerStatus[]): string {
  return containers.map(({ id }) => `${id}\n`).join('');
}

/** What `list` prints: a table with a line for each container. */
export function formatListTable(containers: readonly ContainerStatus[]): string {
  const header = ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'];
  const rows = containers.map(({ id, pid, status, bundle, created, owner }) => {
    // The path of a bundle is somebody else's text: it may neither break a line nor steer the terminal.
    return [id, String(pid), status, bundle, created, owner].map((cell) => escapeControls(cell, { lines: true }));
  });
  return formatTable([header, ...rows]);
}

/** What `ps --format json` prints: an array of pids in one line, or `null` when there are none. Source: runc ps.go. */
export function formatPids(pids: readonly number[]): string {
  return `${pids.length === 0 ? 'null' : JSON.stringify(pids)}\n`;
}

// The members in runc's order, which people read; programs do not mind.
function statusDocument(status: ContainerStatus): ContainerStatus {
  const { ociVersion, id, pid, status: name, bundle, rootfs, created, annotations, owner } = status;
  const hasAnnotations = annotations !== undefined && Object.keys(annotations).length > 0;
  return { ociVersion, id, pid, status: name, bundle, rootfs, created, ...(hasAnnotations && { annotations }), owner };
}

// As Go's tabwriter does for runc.
const narrowestColumn = 12;
const columnPadding = 3;

/** A table with columns as wide as what is in them, the heading first. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => {
    const longest = Math.max(...rows.map((row) => widthOf(row[column] ?? '')));
    return Math.max(narrowestColumn, longest + columnPadding);
  });
  const lines = rows.map((row) => row.map((cell, column) => padCell(cell, widths[column] ?? 0, row.length - column)));
  return lines.map((cells) => `${cells.join('')}\n`).join('');
}

// The last cell of a line is not padded.
function padCell(cell: string, width: number, cellsLeft: number): string {
  return cellsLeft === 1 ? cell : cell + ' '.repeat(Math.max(0, width - widthOf(cell)));
}

// In code points: padEnd() counts UTF-16 units, and a path may hold any character.
function widthOf(cell: string): number {
  return Array.from(cell).length;
}
