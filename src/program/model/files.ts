import type { Errno } from '../../util/errno.ts';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../util/constants.ts';

/** A file of the model: what its mode says it is. */
export interface ModelFile {
  /** File type and permissions, as st_mode. */
  mode: number;
  uid: number;
  gid: number;
  /** The type of the file system that it is on; empty for the tree of the start. */
  readonly filesystem: string;
  /** Entries of a directory. */
  readonly entries: Map<string, ModelFile>;
  /** Target of a symlink. */
  readonly target: string;
  /** Device number of a device, as mknod(2) takes it. */
  readonly device: bigint;
  /** What was written to a file, in order. */
  readonly writes: Uint8Array[];
  /** The directory that this one is in; the root of a file system that is not mounted is in itself. */
  parent: ModelFile;
  /** Of the root of a mounted file system: what it lies on. */
  covers: ModelFile | undefined;
  /** Of a directory: it was removed, and nothing can be made in it. */
  isRemoved: boolean;
  /** The roots of the file systems that are mounted here, the visible one last. */
  readonly mounts: ModelFile[];
}

/** A result that is an errno; the model's calls throw it and the kernel returns the number. */
export class ModelErrno extends Error {
  readonly errno: Errno;

  constructor(errno: Errno) {
    super(errno);
    this.errno = errno;
  }
}

/**
 * What a tree is described by: a directory as an object, a symlink as `-> target`, a character device as `c 1:3`, a file as
 * any other text.
 */
export interface TreeDescription {
  readonly [name: string]: TreeDescription | string;
}

/**
 * What a file of the model is beside its mode: `target` is the text of a symlink, `device` the numbers of a device as mknod(2) has them.
 */
export interface FileOptions {
  /** Without one the file is the root of a file system. */
  readonly parent?: ModelFile;
  /** That of the parent unless said otherwise. */
  readonly filesystem?: string;
  readonly target?: string;
  readonly device?: bigint;
}

/** A file with nothing in it. */
export function makeFile(mode: number, options: FileOptions = {}): ModelFile {
  const { parent, filesystem = parent?.filesystem ?? '', target = '', device = 0n } = options;
  const file: Omit<ModelFile, 'parent'> & { parent?: ModelFile } = {
    ...{ mode, uid: 0, gid: 0, filesystem, target, device, covers: undefined, isRemoved: false },
    ...{ entries: new Map<string, ModelFile>(), writes: [], mounts: [] },
  };
  return Object.assign(file, { parent: parent ?? (file as ModelFile) });
}

/** The root of a tree. */
export function makeTree(description: TreeDescription, filesystem = ''): ModelFile {
  const root = makeFile(S_IFDIR | 0o755, { filesystem });
  fillTree(root, description);
  return root;
}

function fillTree(directory: ModelFile, description: TreeDescription): void {
  for (const [name, value] of Object.entries(description)) {
    const child = describedFile(directory, value);
    directory.entries.set(name, child);
    if (typeof value === 'object') fillTree(child, value);
  }
}

function describedFile(parent: ModelFile, description: TreeDescription | string): ModelFile {
  if (typeof description === 'object') return makeFile(S_IFDIR | 0o755, { parent });
  if (description.startsWith('-> ')) return makeFile(S_IFLNK | 0o777, { parent, target: description.slice(3) });
  const [, major, minor] = /^c (\d+):(\d+)$/.exec(description) ?? [];
  if (major === undefined || minor === undefined) return makeFile(S_IFREG | 0o644, { parent });
  // The form of mknod(2) for numbers below 256, man 3 makedev.
  return makeFile(S_IFCHR | 0o666, { parent, device: (BigInt(major) << 8n) | BigInt(minor) });
}

/** Whether the file is of a type, one of S_IFDIR, S_IFLNK and so on (man 7 inode). */
export function isType(file: ModelFile, type: number): boolean {
  return (file.mode & S_IFMT) === type;
}

/** The root of the topmost file system that is mounted on a file, or the file itself. */
export function visible<File extends ModelFile | undefined>(file: File): File | ModelFile {
  const top = file?.mounts.at(-1);
  return top === undefined ? file : visible(top);
}

/** The path of a file below `top`, or the topmost directory; the root of a mount has the path of its mount point. */
export function pathOf(file: ModelFile, top?: ModelFile): string {
  if (file === top) return '/';
  if (file.covers !== undefined) return pathOf(file.covers, top);
  if (file.parent === file) return '/';
  const name = [...file.parent.entries].find(([, child]) => child === file)?.[0] ?? '(deleted)';
  const above = pathOf(file.parent, top);
  return above === '/' ? `/${name}` : `${above}/${name}`;
}

/** Mounts a file system, or a bind of another file, on a file. */
export function attach(root: ModelFile, on: ModelFile): void {
  root.covers = on;
  root.parent = on.parent;
  on.mounts.push(root);
}

/** Another root with the same content, as a bind mount makes it. */
export function bind(file: ModelFile): ModelFile {
  return { ...file, mounts: [], covers: undefined };
}
