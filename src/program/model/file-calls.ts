import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  TIOCGPTPEER,
} from '../../util/constants.ts';
import { utf8 } from '../../util/utf8.ts';
import type { CallName } from '../calls.ts';
import { restoreFlags } from '../open-flags.ts';
import type { CallModel } from './call-model.ts';
import { isType, makeFile, ModelErrno, type ModelFile } from './files.ts';
import type { ModelMemory } from './memory.ts';
import { DESCRIPTOR_LIMIT, type ModelState, type OpenFile } from './state.ts';
import type { WalkResult } from './walk.ts';

const IOVEC_SIZE = 16n;
/** Parts of a vector (include/uapi/linux/uio.h), and the bytes of all of them that the model bears with. */
const UIO_MAXIOV = 1024;
const WRITE_LIMIT = 0x10_0000n;
const ACCESS = O_WRONLY | O_RDWR;
/** Type of file system -> magic number, include/uapi/linux/magic.h. */
const MAGIC: Readonly<Record<string, bigint>> = {
  proc: 0x9fa0n,
  devpts: 0x1cd1n,
  sysfs: 0x6265_6572n,
  tmpfs: 0x0102_1994n,
};
const PERMISSIONS = 0o7777;

/** The calls on descriptors and files. */
export const FILE_CALLS: Partial<Record<CallName, CallModel>> = {
  read: (kernel, args, memory) => {
    const { kind } = usable(kernel, args.int(0), O_WRONLY);
    if (kind !== 'sync') return 0;
    const datagram = kernel.inbox.shift() ?? new Uint8Array();
    memory.write(args.raw(1), datagram.subarray(0, Number(args.raw(2))));
    return Math.min(datagram.length, Number(args.raw(2)));
  },
  write: (kernel, args, memory) => send(kernel, args.int(0), memory.read(args.raw(1), Number(args.raw(2)))),
  writev: (kernel, args, memory) => send(kernel, args.int(0), gather(memory, args.raw(1), args.int(2))),
  sendmsg: (kernel, args, memory) => {
    const message = args.raw(1);
    // struct msghdr: the vector is at 16, its length at 24.
    return send(
      kernel,
      args.int(0),
      gather(memory, memory.readWord(message + 16n), Number(memory.readWord(message + 24n))),
    );
  },
  close: (kernel, args) => {
    kernel.openFile(args.int(0));
    kernel.descriptors.delete(args.int(0));
    return 0;
  },
  fcntl: (kernel, args) => {
    const file = kernel.openFile(args.int(0));
    return args.int(1) === F_DUPFD || args.int(1) === F_DUPFD_CLOEXEC ? kernel.install(file, args.int(2)) : 0;
  },
  dup3: (kernel, args) => {
    const [from, to] = [args.int(0), args.int(1)];
    if ((args.int(2) & ~O_CLOEXEC) !== 0 || from === to) throw new ModelErrno('EINVAL');
    if (to < 0 || to >= DESCRIPTOR_LIMIT) throw new ModelErrno('EBADF');
    kernel.descriptors.set(to, kernel.openFile(from));
    return to;
  },
  openat: (kernel, args, memory) =>
    open(kernel, {
      fd: args.int(0),
      path: memory.readText(args.raw(1)),
      flags: args.int(2),
      mode: args.int(3),
      resolve: 0,
    }),
  openat2: (kernel, args, memory) => {
    // struct open_how: u64 flags, mode, resolve.
    const [flags, mode, resolve] = [0n, 8n, 16n].map((offset) => Number(memory.readWord(args.raw(2) + offset)));
    const path = memory.readText(args.raw(1));
    return open(kernel, { fd: args.int(0), path, flags: flags ?? 0, mode: mode ?? 0, resolve: resolve ?? 0 });
  },
  mkdirat: (kernel, args, memory) => {
    const place = kernel.walk(args.int(0), memory.readText(args.raw(1)), { noFollow: true });
    create(place, S_IFDIR | (args.int(2) & ~kernel.umask & PERMISSIONS));
    return 0;
  },
  mknodat: (kernel, args, memory) => {
    const place = kernel.walk(args.int(0), memory.readText(args.raw(1)), { noFollow: true });
    const type = args.int(2) & S_IFMT;
    create(place, (type === 0 ? S_IFREG : type) | (args.int(2) & ~kernel.umask & PERMISSIONS), { device: args.raw(3) });
    return 0;
  },
  symlinkat: (kernel, args, memory) => {
    const place = kernel.walk(args.int(1), memory.readText(args.raw(2)), { noFollow: true });
    create(place, S_IFLNK | 0o777, { target: memory.readText(args.raw(0)) });
    return 0;
  },
  readlinkat: (kernel, args, memory) => {
    const { file } = kernel.walk(args.int(0), memory.readText(args.raw(1)), { noFollow: true });
    if (file === undefined) throw new ModelErrno('ENOENT');
    if (!isType(file, S_IFLNK)) throw new ModelErrno('EINVAL');
    const text = utf8(file.target).subarray(0, args.int(3));
    memory.write(args.raw(2), text);
    return text.length;
  },
  unlinkat: (kernel, args, memory) => {
    const place = kernel.walk(args.int(0), memory.readText(args.raw(1)), { noFollow: true });
    if ((args.int(2) & AT_REMOVEDIR) === 0) removeFile(place);
    else removeDirectory(place);
    return 0;
  },
  fchmod: (kernel, args) => changeMode(changeable(kernel, args.int(0)), args.int(1)),
  fchown: (kernel, args) => changeOwner(changeable(kernel, args.int(0)), args.int(1), args.int(2)),
  fchmodat: (kernel, args, memory) => changeMode(kernel.find(args.int(0), memory.readText(args.raw(1))), args.int(2)),
  fchownat: (kernel, args, memory) => {
    const file = kernel.find(args.int(0), memory.readText(args.raw(1)), atFlags(args.int(4)));
    return changeOwner(file, args.int(2), args.int(3));
  },
  faccessat2: (kernel, args, memory) => {
    kernel.find(args.int(0), memory.readText(args.raw(1)), atFlags(args.int(3)));
    return 0;
  },
  statx: (kernel, args, memory) => {
    const file = kernel.find(args.int(0), memory.readText(args.raw(1)), atFlags(args.int(2)));
    memory.write(args.raw(4), statxOf(file));
    return 0;
  },
  ioctl: (kernel, args) => {
    kernel.openFile(args.int(0));
    if (args.int(1) !== TIOCGPTPEER) return 0;
    // The other side of a terminal, device 136:0 (ioctl_tty(2)).
    const file = makeFile(S_IFCHR | 0o620, { filesystem: 'devpts', device: 0x8800n });
    return kernel.install({ kind: 'file', file, flags: O_RDWR });
  },
  fstatfs: (kernel, args, memory) => {
    // struct statfs starts with the magic number of the file system.
    memory.writeWord(args.raw(1), MAGIC[kernel.fileOf(args.int(0)).filesystem] ?? 0n);
    return 0;
  },
};

function atFlags(flags: number): { emptyPath: boolean; noFollow: boolean } {
  return { emptyPath: (flags & AT_EMPTY_PATH) !== 0, noFollow: (flags & AT_SYMLINK_NOFOLLOW) !== 0 };
}

/** An O_PATH handle can neither be read, written nor changed, one of the other access mode not be used; throws EBADF. */
function usable(kernel: ModelState, fd: number, wrongAccess?: number): OpenFile {
  const open = kernel.openFile(fd);
  if ((open.flags & O_PATH) !== 0 || (open.flags & ACCESS) === wrongAccess) throw new ModelErrno('EBADF');
  return open;
}

function changeable(kernel: ModelState, fd: number): ModelFile | undefined {
  return usable(kernel, fd).file;
}

function send(kernel: ModelState, fd: number, bytes: Uint8Array): number {
  const open = usable(kernel, fd, O_RDONLY);
  if (open.kind === 'sync') kernel.outbox.push(bytes);
  else open.file?.writes.push(bytes);
  return bytes.length;
}

/** The bytes of a struct iovec[]: u64 address and length of each part. Throws EINVAL for more than the kernel takes. */
function gather(memory: ModelMemory, vector: bigint, count: number): Uint8Array {
  if (count < 0 || count > UIO_MAXIOV) throw new ModelErrno('EINVAL');
  const bytes: number[] = [];
  for (let index = 0; index < count; index++) {
    const at = vector + IOVEC_SIZE * BigInt(index);
    const size = memory.readWord(at + 8n);
    if (BigInt(bytes.length) + size > WRITE_LIMIT) throw new ModelErrno('EINVAL');
    for (const byte of memory.read(memory.readWord(at), Number(size))) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

interface OpenRequest {
  readonly fd: number;
  readonly path: string;
  readonly flags: number;
  readonly mode: number;
  readonly resolve: number;
}

function open(kernel: ModelState, { fd, path, mode, resolve, ...request }: OpenRequest): number {
  const flags = kernel.arch === 'arm64' ? Number(restoreFlags(BigInt(request.flags))) : request.flags;
  const isNew = (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0;
  const place = kernel.walk(fd, path, { resolve, noFollow: isNew || (flags & O_NOFOLLOW) !== 0 });
  let { file } = place;
  if (file === undefined) {
    if ((flags & O_CREAT) === 0) throw new ModelErrno('ENOENT');
    file = create(place, S_IFREG | (mode & ~kernel.umask & PERMISSIONS));
  } else if (isNew) throw new ModelErrno('EEXIST');
  if ((flags & O_DIRECTORY) !== 0 && !isType(file, S_IFDIR)) throw new ModelErrno('ENOTDIR');
  if ((flags & O_PATH) === 0) {
    if (isType(file, S_IFLNK)) throw new ModelErrno('ELOOP');
    if (isType(file, S_IFDIR) && (flags & (O_WRONLY | O_RDWR)) !== 0) throw new ModelErrno('EISDIR');
  }
  return kernel.install({ kind: 'file', file, flags });
}

function create(place: WalkResult, mode: number, options: { target?: string; device?: bigint } = {}): ModelFile {
  if (place.file !== undefined) throw new ModelErrno('EEXIST');
  if (place.directory.isRemoved) throw new ModelErrno('ENOENT');
  const file = makeFile(mode, { parent: place.directory, ...options });
  place.directory.entries.set(place.name, file);
  return file;
}

function removeFile({ directory, name, file }: WalkResult): void {
  if (name === '.' || name === '..') throw new ModelErrno('EISDIR');
  if (file === undefined) throw new ModelErrno('ENOENT');
  if (isType(file, S_IFDIR)) throw new ModelErrno('EISDIR');
  directory.entries.delete(name);
}

function removeDirectory({ directory, name, file }: WalkResult): void {
  if (name === '.') throw new ModelErrno('EINVAL');
  if (name === '..') throw new ModelErrno('ENOTEMPTY');
  if (file === undefined) throw new ModelErrno('ENOENT');
  if (!isType(file, S_IFDIR)) throw new ModelErrno('ENOTDIR');
  if (file.covers !== undefined) throw new ModelErrno('EBUSY');
  if (file.entries.size > 0) throw new ModelErrno('ENOTEMPTY');
  directory.entries.delete(name);
  file.isRemoved = true;
}

function changeMode(file: ModelFile | undefined, mode: number): number {
  if (file !== undefined) file.mode = (file.mode & S_IFMT) | (mode & PERMISSIONS);
  return 0;
}

/** -1 leaves an owner as it is. */
function changeOwner(file: ModelFile | undefined, uid: number, gid: number): number {
  if (file === undefined) return 0;
  if (uid !== -1) file.uid = uid;
  if (gid !== -1) file.gid = gid;
  return 0;
}

/** struct statx, 256 bytes: the fields that programs look at. */
function statxOf(file: ModelFile): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(20, file.uid, true);
  view.setUint32(24, file.gid, true);
  view.setUint16(28, file.mode, true);
  // The device number is in the form of new_encode_dev() of include/linux/kdev_t.h.
  const device = Number(file.device);
  view.setUint32(128, (device >>> 8) & 0xfff, true);
  view.setUint32(132, (device & 0xff) | ((device >>> 12) & 0xfff00), true);
  return bytes;
}
