import { emitInit } from '../init/image.ts';
import { TsrunError } from '../errors.ts';
import type { Arch } from '../program/calls.ts';
import { hasErrno } from '../sys/errno.ts';
import { waitReadable } from '../sys/events/poll.ts';
import { descriptorPath, duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { createSealedExecutable } from '../sys/memfd.ts';
import { createUnlinkedExecutable } from '../sys/file.ts';
import { openDetachedTmpfs } from '../sys/mount.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { socketPair } from '../sys/socket.ts';
import { spawn } from '../sys/process/spawn.ts';
import { reapChild, waitChild, type ExitStatus } from '../sys/process/wait.ts';
import { INIT_IMAGE_NAME } from './init-name.ts';
import { DEATH_TIMEOUT_MS, killAndWait } from './kill-and-wait.ts';
import type { Partner } from './partner.ts';

/** What an init has from its start: its image is made for `arch` and `syncFd`, and it inherits nothing but these descriptors. */
export interface SpawnInitOptions {
  readonly arch: Arch;
  /** Number of the sync pipe inside init. */
  readonly syncFd: number;
  /** Number in init -> descriptor of the caller, whose own they are: at least 0, 1 and 2. */
  readonly callers: ReadonlyMap<number, number>;
  /** Number in init -> descriptor here, beside the sync pipe. Default: none. */
  readonly descriptors?: ReadonlyMap<number, number>;
  /** A directory only root can write, for systems where memfds cannot be executed and this process may not mount a tmpfs. */
  readonly fallbackDirectory: string;
}

/**
 * Starts an init process that waits for its first packet, for a caller that is this process.
 *
 * Its executable is a sealed memfd of 1 KB: through `/proc/<pid>/exe` a container reaches nothing of the host
 * (CVE-2019-5736). It is a child of this process, and the one that it clones as well. Errors: `host`.
 */
export function spawnInit(options: SpawnInitOptions): Partner {
  const [ours, theirs] = socketPair('seqpacket');
  try {
    using image = openImage(options);
    const descriptors = new Map([...options.callers, ...(options.descriptors ?? [])]);
    descriptors.set(options.syncFd, theirs.number);
    // The file actions run before the image is opened by its number, so the number must be none of theirs.
    using executable = duplicateAbove(image.number, Math.max(...descriptors.keys()) + 1);
    const pid = spawn({ path: descriptorPath(executable.number), name: INIT_IMAGE_NAME, descriptors });
    return new SpawnedPartner(pid, ours);
  } catch (error) {
    ours.close();
    throw explainRefusal(error, options);
  } finally {
    theirs.close();
  }
}

/** A child of this process: it is there, reaped or not, until it has been reaped here, which is what its number stands for. */
export class SpawnedPartner implements Partner {
  readonly socket: OwnedFd;
  #pid: number;
  #isReaped = false;
  #status: ExitStatus | undefined;

  constructor(pid: number, socket: OwnedFd) {
    this.#pid = pid;
    this.socket = socket;
  }

  get pid(): number {
    return this.#pid;
  }

  becomes(pid: number): void {
    if (!this.#isReaped) waitChild(this.#pid);
    this.#isReaped = false;
    this.#status = undefined;
    this.#pid = pid;
  }

  async end(): Promise<void> {
    if (this.#reap()) return;
    using pidfd = pidfdOpen(this.#pid);
    if (!(await killAndWait(pidfd, DEATH_TIMEOUT_MS)))
      throw new TsrunError('init', `process ${this.#pid} does not die`);
    this.#reap();
  }

  async howItEnded(timeoutMs = -1): Promise<ExitStatus | undefined> {
    // A process closes its sockets before the rest, such as undoing its mounts, and only then its end can be waited for.
    if (this.#reap() || timeoutMs === 0) return this.#status;
    using pidfd = pidfdOpen(this.#pid);
    while (await waitReadable(pidfd.number, timeoutMs)) if (this.#reap()) return this.#status;
    return undefined;
  }

  /** Whether it has been reaped, now or before, here or by somebody else in this process. */
  #reap(): boolean {
    if (this.#isReaped) return true;
    try {
      this.#status = reapChild(this.#pid);
      this.#isReaped = this.#status !== undefined;
    } catch (error) {
      if (!hasErrno(error, 'ECHILD')) throw error;
      this.#isReaped = true;
    }
    return this.#isReaped;
  }
}

/** Init's image as an executable file. Errors: `host`. */
export function openImage({ arch, syncFd, fallbackDirectory }: SpawnInitOptions): OwnedFd {
  const image = imageFor(arch, syncFd);
  return sealImage(image) ?? openImageFile(image, fallbackDirectory);
}

/** Bytes of images by what they were made for, most of which are the same for all containers of a process. */
const images = new Map<string, Uint8Array>();
const IMAGES_MAX = 16;

/** The bytes alone: a file of which a container has a descriptor is no other's. */
function imageFor(arch: Arch, syncFd: number): Uint8Array {
  const key = `${arch} ${syncFd}`;
  const image = images.get(key) ?? emitInit({ arch, syncFd });
  if (images.size < IMAGES_MAX) images.set(key, image);
  return image;
}

/** Init's image as a sealed memfd; undefined where the system forbids executable memfds (vm.memfd_noexec=2). Errors: `host`. */
export function sealImage(image: Uint8Array): OwnedFd | undefined {
  try {
    return createSealedExecutable(INIT_IMAGE_NAME, image);
  } catch (error) {
    if (hasErrno(error, 'EACCES')) return undefined;
    throw error;
  }
}

/** The file system of the state directory may be mounted noexec, as /run often is: a tmpfs of our own is not. */
function openImageFile(image: Uint8Array, fallbackDirectory: string): OwnedFd {
  try {
    using tmpfs = openDetachedTmpfs();
    return createUnlinkedExecutable(descriptorPath(tmpfs.number), INIT_IMAGE_NAME, image);
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    return createUnlinkedExecutable(fallbackDirectory, INIT_IMAGE_NAME, image);
  }
}

function explainRefusal(error: unknown, { fallbackDirectory }: SpawnInitOptions): unknown {
  if (!hasErrno(error, 'EACCES')) return error;
  const where = `the system forbids executable memfds (vm.memfd_noexec), and ${JSON.stringify(fallbackDirectory)} is mounted noexec`;
  return TsrunError.of('host', `start init: ${where}`, error);
}
