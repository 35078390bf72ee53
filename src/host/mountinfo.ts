/** One line of /proc/PID/mountinfo. Source: man 5 proc_pid_mountinfo. */
export interface MountinfoEntry {
  readonly id: number;
  readonly parent: number;
  readonly mountPoint: string;
  readonly type: string;
  /** Optional fields such as `shared:1`. */
  readonly propagation: readonly string[];
}

/** Reads the text of a mountinfo file; lines that make no sense are passed over. */
export function parseMountinfo(text: string): MountinfoEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [id, parent, , , mountPoint] = fields;
    const type = fields[separator + 1];
    if (separator < 0 || id === undefined || parent === undefined || mountPoint === undefined || type === undefined)
      return [];
    const propagation = fields.slice(6, separator);
    return [{ id: Number(id), parent: Number(parent), mountPoint: unescape(mountPoint), type, propagation }];
  });
}

/** Space, tab, newline and backslash are written as octal numbers. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount point of the mount that a path (absolute, symlinks resolved) lies on. */
export function mountPointOf(entries: readonly MountinfoEntry[], path: string): string {
  let best = '/';
  for (const { mountPoint } of entries) {
    const contains = path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`);
    if (contains && mountPoint.length >= best.length) best = mountPoint;
  }
  return best;
}
