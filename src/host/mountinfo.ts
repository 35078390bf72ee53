import { readFileSync } from 'node:fs';

/** One line of /proc/PID/mountinfo. Source: man 5 proc_pid_mountinfo. */
export interface MountinfoEntry {
  readonly id: number;
  readonly parent: number;
  /** What of the file system appears at the mount point. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  /** Optional fields such as `shared:1`. */
  readonly propagation: readonly string[];
  /** Options of the file system, apart from those of the mount. */
  readonly superOptions: readonly string[];
}

/** The mounts that a process sees, by its directory below /proc. Errors: those of Node. */
export function readMounts(proc: string): MountinfoEntry[] {
  return parseMountinfo(readFileSync(`${proc}/mountinfo`, 'utf8'));
}

/** Reads the text of a mountinfo file; lines that make no sense are passed over. */
export function parseMountinfo(text: string): MountinfoEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [id, parent, , root, mountPoint] = fields;
    const [type, , superOptions = ''] = separator < 0 ? [] : fields.slice(separator + 1);
    if (id === undefined || parent === undefined || root === undefined || mountPoint === undefined) return [];
    if (type === undefined) return [];
    return [
      {
        id: Number(id),
        parent: Number(parent),
        root: unescape(root),
        mountPoint: unescape(mountPoint),
        type,
        propagation: fields.slice(6, separator),
        superOptions: unescape(superOptions).split(','),
      },
    ];
  });
}

/** Space, tab, newline and backslash are written as octal numbers. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount points of a mount namespace, for lookups in it. */
export class MountTable {
  /** Mount id -> the mounts on it; those on no mount that is listed at `undefined`. */
  readonly #children = new Map<number | undefined, MountinfoEntry[]>();

  constructor(entries: readonly MountinfoEntry[]) {
    const ids = new Set(entries.map(({ id }) => id));
    for (const entry of entries) {
      const parent = ids.has(entry.parent) && entry.parent !== entry.id ? entry.parent : undefined;
      const siblings = this.#children.get(parent);
      if (siblings === undefined) this.#children.set(parent, [entry]);
      else siblings.push(entry);
    }
  }

  /**
   * The mount that an absolute path without symlinks leads to: the topmost of those that are mounted on each other. Undefined when no
   * mount that is listed holds it, as in a chroot.
   */
  find(path: string): MountinfoEntry | undefined {
    let current = this.#onTheWay(undefined, path);
    // The mounts are a tree, unless the text was made up: each is entered once.
    const seen = new Set<MountinfoEntry>();
    for (let next = current; next !== undefined && !seen.has(next); next = this.#onTheWay(next.id, path)) {
      seen.add(next);
      current = next;
    }
    return current;
  }

  /** Whether the mount is what its mount point leads to. One that another covers, there or above, is out of reach. */
  isVisible(entry: MountinfoEntry): boolean {
    return this.find(entry.mountPoint) === entry;
  }

  /** The first mount on this one that a lookup of the path comes to. Of two at the same place the later is the upper. */
  #onTheWay(mount: number | undefined, path: string): MountinfoEntry | undefined {
    let first: MountinfoEntry | undefined;
    for (const child of this.#children.get(mount) ?? []) {
      const { mountPoint } = child;
      const isOnTheWay = path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`);
      if (isOnTheWay && (first === undefined || mountPoint.length <= first.mountPoint.length)) first = child;
    }
    return first;
  }
}
