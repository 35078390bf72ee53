import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { openFile, tryLock } from '../../sys/file.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { sleep } from '../../sys/events/poll.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { temporaryName } from '../../sys/temporary-name.ts';
import { O_CREAT, O_PATH, O_RDWR } from '../../util/constants.ts';
import { emptyDirectory } from './empty-directory.ts';
import { doesNotExist, requireId } from './ids.ts';
import { readBounded } from './read-bounded.ts';
import { requireRecord, type ContainerRecord } from './record.ts';
import { remedies } from '../../util/remedies.ts';
import { wording } from '../../util/wording.ts';
import { nowMs } from '../../sys/clock.ts';

const STATE_FILE = 'state.json';
const CONFIG_FILE = 'config.json';
const END_FILE = 'end.json';
const LOCK_FILE = 'lock';
/** How long an operation waits for another on the same container; hooks may take their time. */
const LOCK_TIMEOUT_MS = 60_000;
/** No file here is larger than the configuration may be, which is kept as a whole. */
const STATE_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * One container's state directory. Everything in it is written under a temporary name and renamed, so that a reader never sees
 * half a file; operations that change the container hold its lock.
 *
 * It is opened once, at the first use and without following a symlink, and everything is done below that handle until it is closed:
 * a directory that takes its name meanwhile is another container's.
 */
export class StateDirectory implements Disposable {
  readonly path: string;
  readonly id: string;
  #fd: number | undefined;

  constructor(root: string, id: string) {
    requireId(id);
    this.id = id;
    this.path = path.join(root, id);
  }

  /** Makes the directory. Errors: `exists` when the id is taken; `state`. */
  make(): void {
    const root = path.dirname(this.path);
    try {
      // Sticky: what cleans up XDG_RUNTIME_DIR passes over it (XDG Base Directory Specification).
      mkdirSync(root, { recursive: true, mode: 0o1700 });
    } catch (error) {
      // mkdir(2) says so of what is there and no directory.
      const cause = hasErrno(error, 'EEXIST') ? 'ENOTDIR' : error;
      throw TsrunError.of('state', `create root directory ${JSON.stringify(root)}`, cause, { hint: elsewhere(error) });
    }
    try {
      mkdirSync(this.path, { mode: 0o711 });
    } catch (error) {
      if (hasErrno(error, 'EEXIST')) {
        throw new TsrunError('exists', `${wording.alreadyExists}: ${JSON.stringify(this.id)}`, {
          hint: remedies.taken(this.id),
        });
      }
      const hint = elsewhere(error);
      throw TsrunError.of('state', `create state directory ${JSON.stringify(this.path)}`, error, { hint });
    }
    try {
      // The umask of the caller may have taken the search bit that a container's user needs to reach its notify socket.
      chmodSync(descriptorPath(this.#open()), 0o711);
    } catch (error) {
      this.#unmake();
      throw TsrunError.of('state', `create state directory ${JSON.stringify(this.path)}`, error);
    }
  }

  /** Takes away what `make` has just made, by its name: the handle may be what could not be had. Somebody else's stays. */
  #unmake(): void {
    this.close();
    try {
      rmdirSync(this.path);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY')) throw error;
    }
  }

  /**
   * Holds the container's lock until the descriptor is closed; waits for one who has it, at most `timeoutMs`.
   *
   * Undefined when the time is over. Errors: `not-found` when there is no such container, or no more; `state`, `host`.
   */
  async tryLock(timeoutMs: number): Promise<OwnedFd | undefined> {
    const file = this.#openLock();
    // Not performance.now(): on Node its first use loads a dozen modules.
    const deadline = nowMs() + timeoutMs;
    try {
      for (let pauseMs = 1; !tryLock(file.number); pauseMs = Math.min(pauseMs * 2, 50)) {
        if (nowMs() >= deadline) {
          file.close();
          return undefined;
        }
        await sleep(pauseMs);
      }
      // Whoever had it may have removed the container: the lock of what is gone keeps nobody out.
      if (!this.#has(LOCK_FILE, file)) throw doesNotExist(this.id, path.dirname(this.path));
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The lock, or a failure when another operation does not let go of it. Errors: `status`, and those of `tryLock`. */
  async lock(): Promise<OwnedFd> {
    const lock = await this.tryLock(LOCK_TIMEOUT_MS);
    if (lock === undefined)
      throw new TsrunError('status', `container ${JSON.stringify(this.id)} is busy with another operation`);
    return lock;
  }

  writeRecord(record: ContainerRecord): void {
    this.#write(STATE_FILE, JSON.stringify(record));
  }

  /** The record as text, for one that is damaged; undefined when there is none, or it cannot be read. */
  readRecordText(): string | undefined {
    try {
      return this.#read(STATE_FILE);
    } catch (error) {
      if (error instanceof TsrunError) return undefined;
      throw error;
    }
  }

  /** Errors: `not-found` without a state file; `state` when it is damaged. */
  readRecord(): ContainerRecord {
    const text = this.#read(STATE_FILE);
    if (text === undefined) throw doesNotExist(this.id, path.dirname(this.path));
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new TsrunError('state', `read ${JSON.stringify(path.join(this.path, STATE_FILE))}: it is no JSON`, {
        cause,
      });
    }
    return requireRecord(value, this.id, path.join(this.path, STATE_FILE));
  }

  /** Keeps the configuration as it is now: nothing later reads the bundle again. */
  writeConfig(text: string): void {
    this.#write(CONFIG_FILE, text);
  }

  /** The text that `writeConfig` kept; undefined when there is none. Errors: `state`. */
  readConfigText(): string | undefined {
    return this.#read(CONFIG_FILE);
  }

  /** Keeps how the first process has ended. Errors: `state`. */
  writeEnd(text: string): void {
    this.#write(END_FILE, text);
  }

  /** The text that `writeEnd` kept; undefined when there is none. Errors: `state`. */
  readEndText(): string | undefined {
    return this.#read(END_FILE);
  }

  /** The directory itself, or a file in it, by way of the handle: a path until it is closed. Errors: `state`. */
  file(name = '.'): string {
    return `${descriptorPath(this.#open())}/${name}`;
  }

  /** Removes the directory and what is in it, or what stands in its place; one that is gone is fine. Errors: `state`. */
  remove(): void {
    try {
      const fd = this.#find();
      if (fd === undefined) {
        unlinkSync(this.path);
        return;
      }
      // Who gets hold of the lock after this has nothing to find.
      emptyDirectory(fd, { last: LOCK_FILE });
      const { dev, ino } = fstatSync(fd);
      const there = lstatSync(this.path, { throwIfNoEntry: false });
      if (there?.dev === dev && there.ino === ino) rmdirSync(this.path);
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return;
      throw TsrunError.of('state', `remove state directory ${JSON.stringify(this.path)}`, error);
    } finally {
      this.close();
    }
  }

  /** Lets go of the handle. The next use opens what has the name then. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): number {
    if (this.#fd !== undefined) return this.#fd;
    try {
      this.#fd = openSync(this.path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      return this.#fd;
    } catch (error) {
      throw TsrunError.of('state', `open state directory ${JSON.stringify(this.path)}`, error);
    }
  }

  /** Undefined when there is no such directory: a symlink or a file is none. */
  #find(): number | undefined {
    try {
      return this.#open();
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }

  #openLock(): OwnedFd {
    const fd = this.#find();
    if (fd === undefined) throw doesNotExist(this.id, path.dirname(this.path));
    try {
      return openFile(`${descriptorPath(fd)}/${LOCK_FILE}`, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) throw doesNotExist(this.id, path.dirname(this.path));
      throw TsrunError.of('state', `open ${JSON.stringify(path.join(this.path, LOCK_FILE))}`, error);
    }
  }

  /** Whether a name in the directory is still that of an open file. */
  #has(name: string, file: OwnedFd): boolean {
    const { dev, ino } = fstatSync(file.number);
    const there = lstatSync(this.file(name), { throwIfNoEntry: false });
    return there?.dev === dev && there.ino === ino;
  }

  #write(name: string, text: string): void {
    const target = path.join(this.path, name);
    let temporary: string | undefined;
    try {
      temporary = this.file(temporaryName(`.${name}.`));
      const fd = openSync(temporary, 'wx', 0o600);
      try {
        // Not synced to the disk: what it describes does not outlive a power cut, and on a disk each sync costs some 10 ms.
        writeFileSync(fd, text);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.file(name));
    } catch (error) {
      if (temporary !== undefined) rmSync(temporary, { force: true });
      throw TsrunError.of('state', `write ${JSON.stringify(target)}`, error);
    }
  }

  #read(name: string): string | undefined {
    const fd = this.#find();
    if (fd === undefined) return undefined;
    const shown = path.join(this.path, name);
    const options = { limitBytes: STATE_LIMIT_BYTES, plain: true, code: 'state', shown } as const;
    try {
      return readBounded(`${descriptorPath(fd)}/${name}`, options).toString('utf8');
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      if (error instanceof TsrunError) throw error;
      throw TsrunError.of('state', `read ${JSON.stringify(shown)}`, error);
    }
  }
}

/** What is wrong with the place itself another place mends. */
function elsewhere(error: unknown): string | undefined {
  const isOfPlace = hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EEXIST', 'ENOTDIR');
  return isOfPlace ? remedies.stateRoot : undefined;
}
