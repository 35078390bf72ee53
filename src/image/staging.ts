import { readdirSync } from 'node:fs';
import path from 'node:path/posix';
import { TsrunError } from '../errors.ts';
import { chmodFile, makeDirectoryAt, openAt, removeDirectoryAt, renameAt } from '../sys/archive/at.ts';
import { hasErrno } from '../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../sys/open-flags.ts';
import { temporaryName } from '../sys/temporary-name.ts';
import { O_RDONLY } from '../util/constants.ts';
import { removeTree } from './target/remove.ts';

const TRASH = 'trash';

/**
 * A directory that is filled under another name, beside its own, and gets its own when it is whole: nobody sees half of it. Nobody else may
 * look into it, for files that run with the rights of their owner, and devices.
 */
export class Staging implements Disposable {
  readonly #parent: OwnedFd;
  readonly #target: string;
  readonly #name: string;
  readonly directory: OwnedFd;
  readonly trash: OwnedFd;
  #isDone = false;

  /** Errors: `bundle` where something is in the place of it; `host`. */
  constructor(hostPath: string) {
    const target = path.basename(hostPath);
    requireFree(hostPath);
    try {
      this.#parent = openFile(path.dirname(hostPath), O_RDONLY | O_DIRECTORY);
    } catch (cause) {
      throw TsrunError.of('bundle', `make ${JSON.stringify(hostPath)}: open the directory for it`, cause);
    }
    this.#target = target;
    this.#name = temporaryName('.tsrun-unpack-');
    try {
      this.directory = this.makeDirectory(this.#parent, this.#name, 0o700);
    } catch (cause) {
      this.#parent.close();
      throw TsrunError.of('bundle', `make ${JSON.stringify(hostPath)}`, cause);
    }
    this.trash = this.makeDirectory(this.directory, TRASH, 0o700);
  }

  /** Makes a directory in an open one, with that mode whatever the umask. */
  makeDirectory(parent: OwnedFd, name: string, mode: number): OwnedFd {
    makeDirectoryAt(parent.number, name, 0o700);
    const made = openAt(parent.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    chmodFile(made.number, mode);
    return made;
  }

  /** Gives it its name. Errors: `bundle` where something has that meanwhile. */
  finish(): void {
    removeDirectoryAt(this.directory.number, TRASH);
    try {
      // An empty directory is replaced.
      renameAt(
        { fd: this.#parent.number, name: this.#name },
        { fd: this.#parent.number, name: Buffer.from(this.#target).toString('latin1') },
      );
    } catch (cause) {
      throw TsrunError.of('bundle', `make ${JSON.stringify(this.#target)}`, cause);
    }
    this.#isDone = true;
  }

  /** Removes all of it where it was not finished. */
  [Symbol.dispose](): void {
    if (!this.#isDone) this.#remove();
    this.trash.close();
    this.directory.close();
    this.#parent.close();
  }

  #remove(): void {
    for (const name of readdirSync(descriptorPath(this.directory.number), { encoding: 'latin1' }))
      if (name !== TRASH) removeTree(this.directory, name, this.trash);
    removeDirectoryAt(this.directory.number, TRASH);
    removeDirectoryAt(this.#parent.number, this.#name);
  }
}

/** Early, before anything is read; the rename is what decides. */
function requireFree(hostPath: string): void {
  try {
    if (readdirSync(hostPath).length === 0) return;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw TsrunError.of('bundle', `make ${JSON.stringify(hostPath)}`, error);
  }
  throw new TsrunError(
    'bundle',
    `make ${JSON.stringify(hostPath)}: it is a directory with something in it, wanted an empty or a new one`,
  );
}
