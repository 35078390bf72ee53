import { TsrunError } from '../errors.ts';
import type { Partner } from '../process/partner.ts';
import { SpawnedPartner } from '../process/spawned.ts';
import { isExecutableFile } from '../sys/file.ts';
import { spawn } from '../sys/process/spawn.ts';
import { socketPair } from '../sys/socket.ts';

/** Number of the connection in CRIU. */
const CONNECTION_FD = 3;
const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** What a CRIU is started with. */
export interface SpawnCriuOptions {
  /** Where CRIU is looked for, and the programs that it runs itself, such as iptables. Default: the usual directories of a system. */
  readonly searchPath: string | undefined;
  /** Number in CRIU -> descriptor here: 0, 1 and 2, which a restored program has from it, and those that a request names. */
  readonly descriptors: ReadonlyMap<number, number>;
}

/**
 * Starts `criu swrk`, which waits for requests: a child of this process, and so is what it restores as a sibling of its own.
 *
 * Errors: `host` when there is none.
 */
export function spawnCriu({ searchPath, descriptors }: SpawnCriuOptions): Partner {
  const directories = searchPath === undefined || searchPath === '' ? DIRECTORIES : searchPath.split(':');
  // A name without a directory in front would be looked up in this process's own.
  const absolute = directories.filter((directory) => directory.startsWith('/'));
  const path = absolute.map((directory) => `${directory}/criu`).find(isExecutableFile);
  if (path === undefined) {
    const where = absolute.map((directory) => JSON.stringify(directory)).join(', ');
    throw new TsrunError('host', `run "criu": it is in none of ${where}; install the package criu`, {
      errno: 'ENOENT',
    });
  }
  const [ours, theirs] = socketPair('seqpacket');
  try {
    const all = new Map([...descriptors, [CONNECTION_FD, theirs.number]]);
    const environment = [`PATH=${directories.join(':')}`];
    const pid = spawn({ path, name: 'criu', args: ['swrk', String(CONNECTION_FD)], environment, descriptors: all });
    return new SpawnedPartner(pid, ours);
  } catch (error) {
    ours.close();
    throw error;
  } finally {
    theirs.close();
  }
}
