import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../errors.ts';
import type { BridgeMember } from '../plan/network/rules.ts';
import { hasErrno } from '../sys/errno.ts';
import { nowMs } from '../sys/clock.ts';
import { sleep } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile, tryLock } from '../sys/file.ts';
import { O_NOFOLLOW } from '../sys/open-flags.ts';
import { O_CREAT, O_RDWR } from '../util/constants.ts';

/**
 * Who has which address, on a file system that ends with the machine's uptime, as the devices do:
 *
 *     /run/tsrun-network/lock                   held while the network is changed
 *     /run/tsrun-network/4026531840/10.87.0.2   a lease, below the inode of the network namespace that the bridge is in
 */
const DIRECTORY = '/run/tsrun-network';
const LOCK_TIMEOUT_MS = 60_000;

/** An address and the container that has it. */
export interface Lease extends BridgeMember {
  /** The container's state directory, absolute. */
  readonly directory: string;
  /** Name of the host's end of the pair of devices, which no other container ever has. */
  readonly link: string;
  readonly init: { readonly pid: number; readonly startTime: string };
}

/** The leases of a network namespace, under the lock. */
export class Leases implements Disposable {
  readonly #lock: OwnedFd;
  readonly #directory: string;

  private constructor(lock: OwnedFd, namespace: string) {
    this.#lock = lock;
    this.#directory = path.join(DIRECTORY, namespace);
  }

  /** Waits for whoever changes the network. Errors: `host`. */
  static async open(namespace: string): Promise<Leases> {
    mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
    const lock = openFile(path.join(DIRECTORY, 'lock'), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    const deadline = nowMs() + LOCK_TIMEOUT_MS;
    try {
      for (let pauseMs = 1; !tryLock(lock.number); pauseMs = Math.min(pauseMs * 2, 20)) {
        if (nowMs() >= deadline)
          throw new TsrunError('host', `lock ${JSON.stringify(DIRECTORY)}: another tsrun does not let go of it`);
        await sleep(pauseMs);
      }
      return new Leases(lock, namespace);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** In the order of their files' names. One that cannot be read is none: it was cut short. */
  list(): Lease[] {
    return this.#names().flatMap((address) => {
      try {
        return [JSON.parse(readFileSync(path.join(this.#directory, address), 'utf8')) as Lease];
      } catch (error) {
        if (error instanceof SyntaxError || hasErrno(error, 'ENOENT')) return [];
        throw TsrunError.of('host', `read lease ${JSON.stringify(address)}`, error);
      }
    });
  }

  add(lease: Lease): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const temporary = path.join(this.#directory, '.new');
      writeFileSync(temporary, JSON.stringify(lease), { mode: 0o600 });
      renameSync(temporary, path.join(this.#directory, lease.address));
    } catch (error) {
      throw TsrunError.of('host', `keep lease ${JSON.stringify(lease.address)}`, error);
    }
  }

  /** Takes an address back from the container that has this link; another's stays. */
  remove({ address, link }: Pick<Lease, 'address' | 'link'>): void {
    const held = this.list().find((lease) => lease.address === address);
    if (held?.link === link) rmSync(path.join(this.#directory, address), { force: true });
  }

  /** Removes the directory when nobody has an address any more. */
  [Symbol.dispose](): void {
    try {
      if (this.#names().length === 0) {
        rmSync(path.join(this.#directory, '.new'), { force: true });
        rmdirSync(this.#directory);
      }
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    } finally {
      this.#lock.close();
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => !name.startsWith('.'));
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }
}
