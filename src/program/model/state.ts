import { AT_FDCWD, O_RDONLY, O_RDWR } from '../../util/constants.ts';
import type { Arch, CallName } from '../calls.ts';
import { makeTree, ModelErrno, visible, type ModelFile, type TreeDescription } from './files.ts';
import { walk, type WalkOptions, type WalkResult } from './walk.ts';

/** What a descriptor refers to. */
export interface OpenFile {
  readonly kind: 'sync' | 'file' | 'filesystem' | 'other';
  /** Of a `file`: what was opened, or the root of a mount that is not attached. */
  readonly file?: ModelFile;
  /** Flags of open(2), x86-64. */
  readonly flags: number;
  /** Type of file system, where fsopen(2) or fsmount(2) made the descriptor. */
  readonly type?: string;
}

/** A mount that a program made, or changed. */
export interface MountRecord {
  readonly call: CallName;
  /** Type of file system, `bind`, or empty for a change of one that is there. */
  readonly type: string;
  /** Path of the mount point, from the topmost directory. */
  readonly target: string;
}

/** The machine that init finds itself on. `tree` is its root file system; without one it is empty. */
export interface ModelKernelOptions {
  /** Whose flags of open(2) the programs have; x86-64 unless said otherwise. */
  readonly arch?: Arch;
  readonly syncFd: number;
  /** Open at the start besides the sync pipe; 0, 1 and 2 unless said otherwise. */
  readonly openFds?: readonly number[];
  readonly tree?: TreeDescription;
  /** Contents of file systems by their type, such as `proc`. */
  readonly filesystems?: Readonly<Record<string, TreeDescription>>;
  /** Path of the working directory in `tree`. */
  readonly cwd?: string;
  readonly pid?: number;
  readonly umask?: number;
  /** Results of clone3(2), in order; 0, as in the new process, once they are used up. */
  readonly clones?: readonly number[];
}

/** RLIMIT_NOFILE of the model. */
export const DESCRIPTOR_LIMIT = 1024;

/** What the kernel of the model remembers, and how its calls look things up in it. */
export class ModelState {
  readonly arch: Arch;
  readonly inbox: Uint8Array[] = [];
  readonly outbox: Uint8Array[] = [];
  readonly descriptors = new Map<number, OpenFile>();
  readonly mounts: MountRecord[] = [];
  /** The latest arguments of every call without a model: capset, setresuid, setns and so on. */
  readonly attributes = new Map<CallName, readonly bigint[]>();
  readonly filesystems: Readonly<Record<string, TreeDescription>>;
  readonly clones: number[];
  readonly pid: number;
  root: ModelFile;
  cwd: ModelFile;
  umask: number;

  constructor(options: ModelKernelOptions) {
    this.arch = options.arch ?? 'x86-64';
    for (const fd of options.openFds ?? [0, 1, 2])
      this.descriptors.set(fd, { kind: 'other', flags: fd === 0 ? O_RDONLY : O_RDWR });
    this.descriptors.set(options.syncFd, { kind: 'sync', flags: O_RDWR });
    this.filesystems = options.filesystems ?? {};
    this.clones = [...(options.clones ?? [])];
    this.pid = options.pid ?? 1;
    this.umask = options.umask ?? 0o22;
    this.root = makeTree(options.tree ?? {});
    this.cwd = this.root;
    this.cwd = this.find(AT_FDCWD, options.cwd ?? '/');
  }

  /** What a descriptor refers to; throws EBADF. */
  openFile(fd: number): OpenFile {
    const file = this.descriptors.get(fd);
    if (file === undefined) throw new ModelErrno('EBADF');
    return file;
  }

  /** The lowest free descriptor from `lowest` upwards, which then refers to a file; throws EMFILE. */
  install(file: OpenFile, lowest = 0): number {
    let fd = lowest;
    while (this.descriptors.has(fd)) fd++;
    if (fd >= DESCRIPTOR_LIMIT) throw new ModelErrno('EMFILE');
    this.descriptors.set(fd, file);
    return fd;
  }

  /** The file that a descriptor was opened on, AT_FDCWD included; throws EBADF. */
  fileOf(fd: number): ModelFile {
    if (fd === AT_FDCWD) return this.cwd;
    const { file } = this.openFile(fd);
    if (file === undefined) throw new ModelErrno('ENOTDIR');
    return file;
  }

  /** Looks up a path from a descriptor. */
  walk(fd: number, path: string, options: Omit<WalkOptions, 'root'> = {}): WalkResult {
    // An absolute path does not look at the descriptor, unless RESOLVE_ flags make it the root.
    const from = path.startsWith('/') && (options.resolve ?? 0) === 0 ? visible(this.root) : this.fileOf(fd);
    return walk(from, path, { ...options, root: this.root });
  }

  /** Looks up a file that has to be there; throws ENOENT. The empty path is the descriptor itself. */
  find(
    fd: number,
    path: string,
    options: Omit<WalkOptions, 'root'> & { readonly emptyPath?: boolean } = {},
  ): ModelFile {
    if (path === '' && options.emptyPath === true) return this.fileOf(fd);
    const { file } = this.walk(fd, path, options);
    if (file === undefined) throw new ModelErrno('ENOENT');
    return file;
  }
}
