import { AT_FDCWD, CLOSE_RANGE_CLOEXEC, O_RDONLY, O_RDWR, O_WRONLY, S_IFDIR } from '../../util/constants.ts';
import { utf8 } from '../../util/utf8.ts';
import type { CallName } from '../calls.ts';
import type { CallModel } from './call-model.ts';
import { isType, ModelErrno, pathOf } from './files.ts';

const PERMISSIONS = 0o777;

/** The calls on the process itself that have an effect in the model. */
export const PROCESS_CALLS: Partial<Record<CallName, CallModel>> = {
  getpid: (kernel) => kernel.pid,
  umask: (kernel, args) => {
    const previous = kernel.umask;
    kernel.umask = args.int(0) & PERMISSIONS;
    return previous;
  },
  getcwd: (kernel, args, memory) => {
    const path = utf8(`${pathOf(kernel.cwd, kernel.root)}\0`);
    if (args.raw(1) < BigInt(path.length)) throw new ModelErrno('ERANGE');
    memory.write(args.raw(0), path);
    return path.length;
  },
  chdir: (kernel, args, memory) => {
    const directory = kernel.find(AT_FDCWD, memory.readText(args.raw(0)));
    if (!isType(directory, S_IFDIR)) throw new ModelErrno('ENOTDIR');
    kernel.cwd = directory;
    return 0;
  },
  fchdir: (kernel, args) => {
    kernel.openFile(args.int(0));
    const directory = kernel.fileOf(args.int(0));
    if (!isType(directory, S_IFDIR)) throw new ModelErrno('ENOTDIR');
    kernel.cwd = directory;
    return 0;
  },
  setns: (kernel, args) => {
    kernel.openFile(args.int(0));
    return 0;
  },
  clone: (kernel) => kernel.clones.shift() ?? 0,
  clone3: (kernel) => kernel.clones.shift() ?? 0,
  execve: (kernel, args, memory) => {
    if (isType(kernel.find(AT_FDCWD, memory.readText(args.raw(0))), S_IFDIR)) throw new ModelErrno('EACCES');
    return 0;
  },
  exit_group: () => 0,
  landlock_create_ruleset: (kernel) => kernel.install({ kind: 'other', flags: O_RDWR }),
  socket: (kernel) => kernel.install({ kind: 'other', flags: O_RDWR }),
  pipe2: (kernel, args, memory) => {
    // int[2]: the end to read from, then the one to write to.
    const ends = [O_RDONLY, O_WRONLY].map((flags) => kernel.install({ kind: 'other', flags }));
    memory.write(args.raw(0), new Uint8Array(Int32Array.from(ends).buffer));
    return 0;
  },
  accept4: (kernel, args) => {
    const listener = kernel.openFile(args.int(0));
    return kernel.install({ ...listener, kind: 'other', flags: O_RDWR });
  },
  getsockopt: (kernel, args, memory) => {
    kernel.openFile(args.int(0));
    // struct ucred of SO_PEERCRED: i32 pid, u32 uid, u32 gid. The model has one user.
    memory.write(args.raw(3), new Uint8Array(Int32Array.of(kernel.pid, 0, 0).buffer));
    return 0;
  },
  close_range: (kernel, args) => {
    if ((args.int(2) & CLOSE_RANGE_CLOEXEC) !== 0) return 0;
    for (const fd of kernel.descriptors.keys())
      if (BigInt(fd) >= args.raw(0) && BigInt(fd) <= args.raw(1)) kernel.descriptors.delete(fd);
    return 0;
  },
};
