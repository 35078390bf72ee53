import { AT_FDCWD, O_RDONLY, O_RDWR } from '../../util/constants.ts';
import { ERRNO } from '../../util/errno.ts';
import type { Arch, CallName } from '../calls.ts';
import { CallArguments, DESCRIPTOR_LIMIT, type CallModel, type OpenFile } from './call-model.ts';
import { FILE_CALLS } from './file-calls.ts';
import { makeTree, ModelErrno, visible, type ModelFile, type TreeDescription } from './files.ts';
import type { ModelMemory } from './memory.ts';
import { MOUNT_CALLS } from './mount-calls.ts';
import { PROCESS_CALLS } from './process-calls.ts';
import type { Kernel } from './simulate.ts';
import { walk, type WalkOptions, type WalkResult } from './walk.ts';

/** A mount that a program made, or changed. */
export interface MountRecord {
  readonly call: CallName;
  /** Type of file system, `bind`, or empty for a change of one that is there. */
  readonly type: string;
  /** Path of the mount point, from the topmost directory. */
  readonly target: string;
}

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

const CALLS: Partial<Record<CallName, CallModel>> = { ...FILE_CALLS, ...MOUNT_CALLS, ...PROCESS_CALLS };

/**
 * A small model of what init's system calls do: descriptors, a tree of files with symlinks and mounts, and a record of the
 * rest. Calls without a model succeed. It knows no permissions.
 */
export class ModelKernel implements Kernel {
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

  call(name: CallName, args: readonly bigint[], memory: ModelMemory): bigint {
    const model = CALLS[name];
    if (model === undefined) {
      this.attributes.set(name, args);
      return 0n;
    }
    try {
      return BigInt(model(this, new CallArguments(args), memory) ?? 0);
    } catch (error) {
      if (error instanceof ModelErrno) return -BigInt(ERRNO[error.errno]);
      throw error;
    }
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
