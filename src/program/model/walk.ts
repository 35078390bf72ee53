import { RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, S_IFDIR, S_IFLNK } from '../../util/constants.ts';
import { isType, ModelErrno, visible, type ModelFile } from './files.ts';

/** Where absolute paths begin unless `resolve` says otherwise, and how symlinks are followed. */
export interface WalkOptions {
  readonly root: ModelFile;
  /** RESOLVE_ flags of openat2(2). */
  readonly resolve?: number;
  /** The last component is taken as it is when it is a symlink. */
  readonly noFollow?: boolean;
}

/** Where a path leads: also to a name that nothing has yet, for calls that make it. */
export interface WalkResult {
  /** The directory that the last component was looked up in. */
  readonly directory: ModelFile;
  /** The last component; `.` and `..` as they are. */
  readonly name: string;
  /** What is there, undefined when nothing is. */
  readonly file: ModelFile | undefined;
}

/** As many symlinks as the kernel follows (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/** Looks a path up from a directory. Throws ENOENT, ENOTDIR, ELOOP and EXDEV as openat2(2) does. */
export function walk(from: ModelFile, path: string, options: WalkOptions): WalkResult {
  if (path === '') throw new ModelErrno('ENOENT');
  const position = new Position(from, options);
  const pending = position.enter(path);
  let links = 0;
  for (;;) {
    const { directory } = position;
    const name = pending.shift() ?? '.';
    const isLast = pending.length === 0;
    const file = position.lookUp(name);
    if (file === undefined) {
      if (isLast) return { directory, name, file };
      throw new ModelErrno('ENOENT');
    }
    if (isType(file, S_IFLNK) && !(isLast && options.noFollow === true)) {
      if (((options.resolve ?? 0) & RESOLVE_NO_SYMLINKS) !== 0 || ++links > MAX_SYMLINKS) throw new ModelErrno('ELOOP');
      pending.unshift(...position.enter(file.target));
      continue;
    }
    if (isLast) return { directory, name, file };
    position.descend(name, file);
  }
}

/** Where a lookup is. */
class Position {
  readonly #isBeneath: boolean;
  readonly #top: ModelFile;
  /** The directories from the start down to the current one, so that `..` leaves a bind mount where it was entered. */
  #directories: ModelFile[];

  constructor(from: ModelFile, { root, resolve = 0 }: WalkOptions) {
    this.#isBeneath = (resolve & RESOLVE_BENEATH) !== 0;
    this.#top = this.#isBeneath || (resolve & RESOLVE_IN_ROOT) !== 0 ? from : visible(root);
    this.#directories = [from];
  }

  get directory(): ModelFile {
    return this.#directories.at(-1) ?? this.#top;
  }

  /** The components of a path, and a step to the top when it is absolute. A slash at its end wants a directory. */
  enter(path: string): string[] {
    if (path.startsWith('/')) {
      if (this.#isBeneath) throw new ModelErrno('EXDEV');
      this.#directories = [this.#top];
    }
    const parts = path.split('/').filter((part) => part !== '');
    return path.endsWith('/') ? [...parts, '.'] : parts;
  }

  lookUp(name: string): ModelFile | undefined {
    const { directory } = this;
    if (!isType(directory, S_IFDIR)) throw new ModelErrno('ENOTDIR');
    if (name === '.') return directory;
    if (name !== '..') return visible(directory.entries.get(name));
    if (directory !== this.#top) return this.#directories.at(-2) ?? directory.parent;
    if (this.#isBeneath) throw new ModelErrno('EXDEV');
    return directory;
  }

  /** Makes what was looked up the current directory. */
  descend(name: string, file: ModelFile): void {
    if (name === '.' || file === this.directory) return;
    if (name !== '..') this.#directories.push(file);
    else if (this.#directories.length > 1) this.#directories.pop();
    else this.#directories = [file];
  }
}
