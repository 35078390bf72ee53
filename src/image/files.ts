import { fstatSync, readSync } from 'node:fs';
import path from 'node:path/posix';
import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { openBeneath } from '../sys/archive/at.ts';
import { O_NONBLOCK, O_RDONLY } from '../util/constants.ts';
import { remedies } from '../util/remedies.ts';
import { refuse, showName } from './refuse.ts';
import { FileBytes } from './tar/bytes.ts';
import { TarReader } from './tar/reader.ts';

/** A file of an image: a stretch of an open one. */
export interface ImageFile {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

/** The files of a layout or an archive, by their names in it. */
export interface ImageFiles extends Disposable {
  /** Undefined where there is none. The descriptor is good until the next one is opened. */
  open(name: string): ImageFile | undefined;
}

/** Archives have a few files a layer. */
const MAX_MEMBERS = 100_000;
const MAX_LINKS = 8;
/** manifest.json, indexes and configurations; those of images with long histories have some 100 KB. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

/** Opens a layout or an archive. Errors: `bundle`. Effects: descriptors of its own, until it is disposed of. */
export async function openImageFiles(hostPath: string): Promise<ImageFiles> {
  let opened: OwnedFd;
  try {
    opened = openFile(hostPath, O_RDONLY | O_NONBLOCK);
  } catch (cause) {
    const hint = hasErrno(cause, 'ENOENT', 'ENOTDIR') ? remedies.image : undefined;
    throw TsrunError.of('bundle', `open the image ${JSON.stringify(hostPath)}`, cause, { hint });
  }
  const stat = fstatSync(opened.number);
  if (stat.isDirectory()) return new LayoutFiles(opened);
  try {
    if (!stat.isFile()) throw refuse(`${JSON.stringify(hostPath)} is neither a directory nor an archive`);
    return new ArchiveFiles(opened, await readMembers(opened.number, stat.size));
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** A small file as a whole. Errors: `bundle` where it is missing or large. */
export function readDocument(files: ImageFiles, name: string): Buffer {
  const file = files.open(name);
  if (file === undefined) throw refuse(`${showName(name)} is missing in it`);
  if (file.size > MAX_DOCUMENT_BYTES)
    throw refuse(`${showName(name)} has ${file.size} bytes, more than ${MAX_DOCUMENT_BYTES}`);
  const bytes = Buffer.alloc(file.size);
  for (let filled = 0; filled < file.size;) {
    const length = readSync(file.fd, bytes, filled, file.size - filled, file.offset + filled);
    if (length === 0) throw refuse(`${showName(name)} became shorter`);
    filled += length;
  }
  return bytes;
}

/** A directory. What is in it is found without leaving it, and is a regular file. */
class LayoutFiles implements ImageFiles {
  readonly #directory: OwnedFd;
  #file: OwnedFd | undefined;

  constructor(directory: OwnedFd) {
    this.#directory = directory;
  }

  open(name: string): ImageFile | undefined {
    this.#file?.close();
    this.#file = undefined;
    try {
      // A FIFO or a terminal in the place of a file must not hold tsrun up.
      this.#file = openBeneath(this.#directory.number, name, { flags: O_RDONLY | O_NONBLOCK, followsLinks: true });
    } catch (cause) {
      if (hasErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
      throw TsrunError.of('bundle', `unpack the image: open ${showName(name)}`, cause);
    }
    const stat = fstatSync(this.#file.number);
    if (!stat.isFile()) throw refuse(`${showName(name)} is no regular file`);
    return { fd: this.#file.number, offset: 0, size: stat.size };
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#directory.close();
  }
}

type Member = { readonly offset: number; readonly size: number } | { readonly target: string };

class ArchiveFiles implements ImageFiles {
  readonly #archive: OwnedFd;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(archive: OwnedFd, members: ReadonlyMap<string, Member>) {
    this.#archive = archive;
    this.#members = members;
  }

  open(name: string): ImageFile | undefined {
    let member = this.#members.get(path.normalize(name));
    for (let links = 0; member !== undefined && 'target' in member; links += 1) {
      if (links > MAX_LINKS) throw refuse(`${showName(name)} is a link that leads to itself`);
      member = this.#members.get(member.target);
    }
    return member === undefined ? undefined : { fd: this.#archive.number, ...member };
  }

  [Symbol.dispose](): void {
    this.#archive.close();
  }
}

/** Where the files of an archive are: older dockers have a layer that several images share once, and links to it. */
async function readMembers(fd: number, size: number): Promise<Map<string, Member>> {
  const source = new FileBytes(fd, size);
  const reader = new TarReader(source);
  const members = new Map<string, Member>();
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const name = path.normalize(entry.name);
    if (entry.type === 'file') {
      if (entry.size !== entry.dataSize) throw refuse(`${showName(name)} is a sparse file in the archive`);
      members.set(name, { offset: source.position, size: entry.size });
    } else if (entry.type === 'symlink') members.set(name, { target: path.join(path.dirname(name), entry.linkName) });
    else if (entry.type === 'hard-link') members.set(name, { target: path.normalize(entry.linkName) });
    if (members.size > MAX_MEMBERS) throw refuse(`the archive has more than ${MAX_MEMBERS} files`);
  }
  return members;
}
