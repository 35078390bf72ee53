import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { wording } from '../util/wording.ts';

const FIRST = 3;

/**
 * Checks that the `count` descriptors from 3 on, which `--preserve-fds` names, came from whoever started this process.
 *
 * Node has descriptors of its own behind those: an event loop, event counters, pipes to itself. A container must not get one of them
 * because a number was too high. For a command, before it opens anything: the descriptors that a user of the library names are its own
 * affair. Errors: `usage`.
 */
export function requirePreservedDescriptors(count: number): void {
  const links = readOwnLinks();
  const ownPipes = findOwnPipes(links);
  for (let number = FIRST; number < FIRST + count; number++) {
    const link = links.get(number);
    const isOurs =
      link !== undefined && (/^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/.test(link) || ownPipes.has(link));
    if (link === undefined || isOurs) throw noPreservedDescriptor(number, count);
  }
}

/** One of the `count` descriptors to be preserved is not there. */
export function noPreservedDescriptor(number: number, count: number): TsrunError {
  const last = FIRST + count - 1;
  return new TsrunError(
    'usage',
    `${wording.noPreservedFd(number)}: the caller has to open descriptors ${FIRST} to ${last}`,
  );
}

/** Descriptor number -> what it refers to, as /proc shows it. */
function readOwnLinks(): Map<number, string> {
  const links = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      links.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor that listed the directory is gone again.
    }
  }
  return links;
}

/** Pipes that this process has both ends of: nobody else is at the other. */
function findOwnPipes(links: ReadonlyMap<number, string>): Set<string> {
  const modes = new Map<string, Set<number>>();
  for (const [number, link] of links) {
    if (!link.startsWith('pipe:')) continue;
    const ends = modes.get(link) ?? new Set();
    modes.set(link, ends.add(accessMode(number)));
  }
  return new Set([...modes].filter(([, ends]) => ends.size > 1).map(([link]) => link));
}

/** O_RDONLY, O_WRONLY or O_RDWR, from the octal flags of man 5 proc_pid_fdinfo. */
function accessMode(number: number): number {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'latin1'))?.[1] ?? '0';
  return Number.parseInt(flags, 8) & 3;
}
