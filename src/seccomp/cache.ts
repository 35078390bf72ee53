import { createHash, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Log } from '../log.ts';
import { INSTRUCTION_SIZE, INSTRUCTIONS_MAX } from '../plan/seccomp/enosys.ts';
import { reasonOf } from '../sys/errno.ts';
import { temporaryName } from '../sys/temporary-name.ts';

/**
 * Compiled filters, kept from one container to the next: a file for each, named after what it was compiled from.
 *
 *     0   sha256 of the rest, 32 bytes
 *     32  struct sock_filter[]
 *
 * A filter is what holds a container back, so nothing is believed: directory and file must be this user's and nobody else's to
 * write, the file a regular one that is reached by no symlink, and its sum right. Whatever fails of that is as if it were not there.
 */
const SUM_SIZE = 32;
const FILE_LIMIT_BYTES = SUM_SIZE + INSTRUCTIONS_MAX * INSTRUCTION_SIZE;
/** Some hundred profiles; the oldest go first. */
export const CACHE_LIMIT_BYTES = 4 * 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o022;
const NAME = /^[0-9a-f]{64}$/;

/**
 * The directory of compiled filters of one user. Where it fails no container does: the filter is compiled, and a debug message says why.
 */
export class FilterCache {
  readonly #parent: string;
  readonly #directory: string;
  readonly #uid: number;
  readonly #log: Log;

  /** `directory` is tsrun's for everything that it keeps; it is made when it is needed, and `uid` is whose it has to be. */
  constructor(directory: string, { uid, log }: { readonly uid: number; readonly log: Log }) {
    this.#parent = directory;
    this.#directory = path.join(directory, 'seccomp');
    this.#uid = uid;
    this.#log = log;
  }

  /** The program that was kept under a key (64 hexadecimal digits); undefined when there is none that can be trusted. */
  read(key: string): Uint8Array | undefined {
    try {
      if (!isOwnDirectory(this.#parent, this.#uid) || !isOwnDirectory(this.#directory, this.#uid)) return undefined;
      const bytes = readOwnFile(path.join(this.#directory, key), this.#uid);
      return bytes === undefined ? undefined : checkSum(bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#complain('read', error);
      return undefined;
    }
  }

  /** Keeps a program. A cache that cannot be written is a log line at debug level and no failure. */
  write(key: string, program: Uint8Array): void {
    const temporary = path.join(this.#directory, temporaryName(`.${key}.`));
    try {
      if (!makeOwnDirectory(this.#parent, this.#uid) || !makeOwnDirectory(this.#directory, this.#uid)) return;
      const sum = createHash('sha256').update(program).digest();
      try {
        writeFileSync(temporary, Buffer.concat([sum, program]), { flag: 'wx', mode: 0o600 });
        renameSync(temporary, path.join(this.#directory, key));
      } finally {
        rmSync(temporary, { force: true });
      }
      this.#evict();
    } catch (error) {
      this.#complain('write', error);
    }
  }

  /** Removes the oldest files until the rest is small enough, and what a killed tsrun left behind. */
  #evict(): void {
    const files = readdirSync(this.#directory).flatMap((name) => {
      const file = path.join(this.#directory, name);
      const stat = lstatSync(file, { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ file, name, size: stat.size, time: stat.mtimeMs }];
    });
    const HOUR_MS = 3_600_000;
    const isStray = (name: string, time: number): boolean => !NAME.test(name) && time < Date.now() - HOUR_MS;
    let total = 0;
    for (const { file, name, size, time } of files.sort((a, b) => b.time - a.time)) {
      total += size;
      if (total > CACHE_LIMIT_BYTES || isStray(name, time)) rmSync(file, { force: true, recursive: true });
    }
  }

  #complain(what: 'read' | 'write', error: unknown): void {
    const why = reasonOf(error);
    this.#log.debug(`${what} the cache of seccomp filters ${JSON.stringify(this.#directory)}: ${why}`);
  }
}

/** False when it is there and somebody else's, or a symlink. What it lies in is not made. */
function makeOwnDirectory(directory: string, uid: number): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return isOwnDirectory(directory, uid);
}

function isOwnDirectory(directory: string, uid: number): boolean {
  const stat = lstatSync(directory);
  return stat.isDirectory() && stat.uid === uid && (stat.mode & WRITABLE_BY_OTHERS) === 0;
}

function readOwnFile(file: string, uid: number): Buffer | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    const isOwn = stat.isFile() && stat.uid === uid && (stat.mode & WRITABLE_BY_OTHERS) === 0;
    if (!isOwn || stat.size > FILE_LIMIT_BYTES) return undefined;
    const bytes = Buffer.alloc(stat.size);
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(fd, bytes, length, bytes.length - length, null);
      if (count === 0) return undefined;
      length += count;
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

function checkSum(bytes: Buffer): Uint8Array | undefined {
  const program = bytes.subarray(SUM_SIZE);
  if (program.length === 0 || program.length % INSTRUCTION_SIZE !== 0) return undefined;
  const sum = createHash('sha256').update(program).digest();
  return timingSafeEqual(sum, bytes.subarray(0, SUM_SIZE)) ? new Uint8Array(program) : undefined;
}
