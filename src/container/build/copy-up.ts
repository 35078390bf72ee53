import * as fs from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { descriptorPath, OwnedFd } from '../../sys/fd.ts';
import { Stretch } from '../../sys/events/stretch.ts';
import { asFileOwner, makeNode, readLinkHandle } from '../../sys/node.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { copyAttributes } from '../../sys/xattr.ts';
import { O_EXCL, O_CREAT, O_PATH, O_RDONLY, O_WRONLY, S_IFMT } from '../../util/constants.ts';

/** A tmpfs is memory: an image cannot make tsrun copy without end. The bytes of files are bounded by the size of the tmpfs. */
const MAX_ENTRIES = 100_000;
const MAX_ATTRIBUTE_BYTES = 4 * 1024 * 1024;
/** Each level holds two descriptors. */
const MAX_DEPTH = 128;
const CHUNK_BYTES = 256 * 1024;

interface Copy {
  /** Failures that name their file already. */
  readonly told: WeakSet<object>;
  entries: number;
  attributeBytes: number;
  readonly chunk: Buffer;
  readonly stretch: Stretch;
  /** Whose the tmpfs is: in a user namespace it takes no file of another's, and that is what tsrun is there. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

interface Level {
  readonly from: OwnedFd;
  readonly to: OwnedFd;
  /** From the top, for messages. */
  readonly path: string;
  readonly depth: number;
}

/** One file of the source: the handle says what it is, whatever its name leads to by now. */
interface Entry {
  readonly level: Level;
  readonly name: Buffer;
  readonly source: OwnedFd;
  readonly stat: fs.Stats;
  readonly path: string;
}

/**
 * Copies the content of one directory into another, both given as descriptors: files, directories, symlinks as they are, FIFOs,
 * sockets and devices, with owner, mode and extended attributes.
 *
 * Both trees may change meanwhile, by the hand of somebody hostile. So each name is opened once, as a handle that opens nothing
 * (O_PATH) and follows nothing; the handle is looked at, and what is a file or a directory is opened anew by way of the handle: a
 * device that took the place of a file is never opened. What was made is likewise changed by its handle alone.
 *
 * Errors: `unsupported` when there is too much of it; `host` with the errno and the name of the file.
 */
export async function copyUp(fromFd: number, toFd: number): Promise<void> {
  const { uid, gid } = fs.fstatSync(toFd);
  const copy: Copy = {
    told: new WeakSet(),
    entries: 0,
    attributeBytes: 0,
    chunk: Buffer.allocUnsafe(CHUNK_BYTES),
    stretch: new Stretch(),
    owner: { uid, gid },
  };
  // Opened anew, so that reading moves no position of the caller's.
  using from = reopen(fromFd, O_RDONLY | O_DIRECTORY);
  using to = reopen(toFd, O_RDONLY | O_DIRECTORY);
  await copyDirectory(copy, { from, to, path: '', depth: 0 });
}

async function copyDirectory(copy: Copy, level: Level): Promise<void> {
  if (level.depth > MAX_DEPTH) throw tooMuch(`more than ${MAX_DEPTH} levels of directories`);
  // Names are bytes: an image may have some that are no UTF-8.
  for (const name of fs.readdirSync(inside(level.from, Buffer.alloc(0)), { encoding: 'buffer' })) {
    copy.entries += 1;
    if (copy.entries > MAX_ENTRIES) throw tooMuch(`more than ${MAX_ENTRIES} files`);
    await copy.stretch.rest();
    await copyName(copy, level, name);
  }
}

async function copyName(copy: Copy, level: Level, name: Buffer): Promise<void> {
  const path = `${level.path}${name.toString()}`;
  try {
    using source = openEntry(level.from, name);
    if (source === undefined) return;
    await copyEntry(copy, { level, name, source, stat: fs.fstatSync(source.number), path });
  } catch (cause) {
    // What failed further down names its file.
    if (copy.told.has(cause as object)) throw cause;
    const errno = cause instanceof TsrunError ? cause.errno : (cause as NodeJS.ErrnoException).code;
    if (errno === undefined) throw cause;
    const failure = TsrunError.of('host', `copy up ${JSON.stringify(path)}`, cause);
    copy.told.add(failure);
    throw failure;
  }
}

/** Nothing when the name is gone: whoever changes an image meanwhile gets it as it was before or after. */
function openEntry(directory: OwnedFd, name: Buffer): OwnedFd | undefined {
  try {
    return open(inside(directory, name), O_PATH | O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function copyEntry(copy: Copy, entry: Entry): Promise<void> {
  const { stat } = entry;
  if (stat.isSymbolicLink()) copySymlink(copy, entry);
  else if (stat.isDirectory()) await copySubdirectory(copy, entry);
  else if (stat.isFile()) await copyFile(copy, entry);
  else copyNode(copy, entry);
}

function copySymlink({ owner }: Copy, { level, name, source, stat }: Entry): void {
  const target = inside(level.to, name);
  const text = readLinkHandle(source.number);
  asFileOwner(owner, () => {
    fs.symlinkSync(text, target);
  });
  fs.lchownSync(target, stat.uid, stat.gid);
}

async function copySubdirectory(copy: Copy, { level, name, source, stat, path }: Entry): Promise<void> {
  asFileOwner(copy.owner, () => {
    fs.mkdirSync(inside(level.to, name), 0o700);
  });
  using to = open(inside(level.to, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  using from = reopen(source.number, O_RDONLY | O_DIRECTORY);
  await copyDirectory(copy, { from, to, path: `${path}/`, depth: level.depth + 1 });
  giveOwner(to, stat);
  giveAttributes(copy, from, to);
}

async function copyFile(copy: Copy, { level, name, source, stat }: Entry): Promise<void> {
  using from = reopen(source.number, O_RDONLY);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  using to = asFileOwner(copy.owner, () => open(inside(level.to, name), flags));
  for (;;) {
    const length = fs.readSync(from.number, copy.chunk);
    if (length === 0) break;
    for (let start = 0; start < length;) start += fs.writeSync(to.number, copy.chunk, start, length - start);
    await copy.stretch.rest();
  }
  giveOwner(to, stat);
  giveAttributes(copy, from, to);
}

/** A FIFO, a socket or a device. Whether a device may be opened is for the mount and the cgroup to say, as it was below. */
function copyNode({ owner }: Copy, { level, name, stat }: Entry): void {
  asFileOwner(owner, () => {
    makeNode(level.to.number, name, stat.mode, stat.rdev);
  });
  using made = open(inside(level.to, name), O_PATH | O_NOFOLLOW);
  const { mode, rdev } = fs.fstatSync(made.number);
  if ((mode & S_IFMT) !== (stat.mode & S_IFMT) || rdev !== stat.rdev)
    throw new TsrunError('host', 'it was replaced', { errno: 'EEXIST' });
  giveOwner(made, stat);
}

/** Owner and mode, in this order: a change of owner takes the set-uid bit away. */
function giveOwner(made: OwnedFd, { uid, gid, mode }: fs.Stats): void {
  const path = descriptorPath(made.number);
  fs.chownSync(path, uid, gid);
  fs.chmodSync(path, mode & 0o7777);
}

/** Behind the change of owner, which takes a file's capabilities away. */
function giveAttributes(copy: Copy, from: OwnedFd, to: OwnedFd): void {
  copy.attributeBytes += copyAttributes(from.number, to.number, MAX_ATTRIBUTE_BYTES - copy.attributeBytes);
}

function open(path: Buffer | string, flags: number): OwnedFd {
  return new OwnedFd(fs.openSync(path, flags, 0o600));
}

/** Opens what a handle refers to: no name is looked up. */
function reopen(fd: number, flags: number): OwnedFd {
  return open(descriptorPath(fd), flags);
}

function inside({ number }: OwnedFd, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${descriptorPath(number)}/`), name]);
}

function tooMuch(what: string): TsrunError {
  return new TsrunError('unsupported', `copy up: ${what}`);
}
