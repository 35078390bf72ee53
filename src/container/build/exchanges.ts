import { fstatSync, readSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { findHome } from '../../plan/process/environment.ts';
import type { IdMapPlan } from '../../plan/namespaces/id-maps.ts';
import type { ExchangeName } from '../../plan/base/exchanges.ts';
import type { Phase } from '../../plan/base/phases.ts';
import type { Conversation, Reply } from '../../process/conversation.ts';
import { writeIdMaps } from '../../process/id-maps.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { waitChild } from '../../sys/wait.ts';
import { hideHostMounts } from './host-mounts.ts';
import { errnoText } from '../../util/errno.ts';

export interface PhaseHandlers {
  /** The process that was spawned, which clones the one that stays. */
  readonly spawnedPid: number;
  readonly idMaps: IdMapPlan | undefined;
  readonly uid: number;
  /** Where the program was looked for. */
  readonly candidates: readonly string[];
  /** Called when the spawned process waits for its cgroup. */
  readonly onCgroup: (spawnedPid: number) => Promise<void>;
  /** Called once, as soon as the process exists. */
  readonly onPid: (pid: number) => Promise<void>;
  /** Called with a netlink socket of the container's network namespace, which is closed afterwards. */
  readonly onNetwork: (socket: OwnedFd) => void;
  /** Called with the master of the console, which is closed afterwards: who keeps it duplicates it. */
  readonly onConsole: (master: OwnedFd) => void;
  /** Called when the rootfs is prepared and not yet entered; init waits for programs. */
  readonly onRootfs: (conversation: Conversation) => Promise<void>;
  /** Called with the reply that tells of the seccomp listener, while init waits. */
  readonly onListener: (reply: Reply) => Promise<void>;
}

/** What the conversation brought to light. */
export interface PhaseResults {
  readonly pid: number;
  /** Path of the program inside the container; the empty string without a process. */
  readonly executable: string;
  readonly home: string;
}

/** /etc/passwd comes from the image: more than this of it is not read. */
const PASSWD_LIMIT_BYTES = 32 * 1024 * 1024;
const PASSWD_PIECE_BYTES = 256 * 1024;

/** Has the phases of a plan executed, one program after the other, and does the parent's part between them. */
export async function runPhases(
  conversation: Conversation,
  phases: readonly Phase[],
  handlers: PhaseHandlers,
): Promise<PhaseResults> {
  const results = { pid: 0, executable: '', home: '/' };
  for (const [index, { program, exchange }] of phases.entries()) {
    const reply = await conversation.run(program, phases[index + 1]?.program);
    try {
      // The parent's part at this exchange may itself talk with init.
      if (exchange === 'rootfs') await handlers.onRootfs(conversation);
      else if (exchange === 'host-mounts') await hideHostMounts(conversation, results.pid, reply);
      else Object.assign(results, await answer(exchange, reply, handlers));
    } finally {
      for (const descriptor of reply.descriptors) descriptor.close();
    }
  }
  return results;
}

async function answer(
  exchange: Exclude<ExchangeName, 'rootfs' | 'host-mounts'>,
  reply: Reply,
  handlers: PhaseHandlers,
): Promise<Partial<PhaseResults>> {
  switch (exchange) {
    case 'cgroup':
      await handlers.onCgroup(handlers.spawnedPid);
      return {};
    case 'id-maps':
      if (handlers.idMaps === undefined) throw new Error('bug: init waits for id maps that were not planned');
      await writeIdMaps(handlers.spawnedPid, handlers.idMaps);
      return {};
    case 'pid': {
      const pid = Number(reply.body.readBigUInt64LE(0));
      // The one that cloned it has sent its last word and exits.
      waitChild(handlers.spawnedPid);
      await handlers.onPid(pid);
      return { pid };
    }
    case 'copy-up': {
      const [upper, lower] = reply.descriptors;
      if (upper === undefined || lower === undefined) throw new TsrunError('init', 'copy up: init sent no directories');
      await copyUpOrFail(lower, upper);
      return {};
    }
    case 'network': {
      const [socket] = reply.descriptors;
      if (socket === undefined) throw new TsrunError('init', 'move network devices: init sent no socket');
      handlers.onNetwork(socket);
      return {};
    }
    case 'console': {
      const [master] = reply.descriptors;
      if (master === undefined) throw new TsrunError('init', 'open the console: init sent no terminal');
      handlers.onConsole(master);
      return {};
    }
    case 'passwd':
      return { home: readHome(reply.descriptors[0], handlers.uid) };
    case 'seccomp':
      await handlers.onListener(reply);
      return {};
    case 'ready':
      return { executable: readExecutable(reply.body, handlers.candidates) };
  }
}

/** A file may have an owner that a new user namespace does not map (EOVERFLOW), or not fit. */
async function copyUpOrFail(lower: OwnedFd, upper: OwnedFd): Promise<void> {
  // Few containers need it, and it brings half of node:fs along.
  const { copyUp } = await import('./copy-up.ts');
  try {
    await copyUp(lower.number, upper.number);
  } catch (cause) {
    if (cause instanceof TsrunError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    throw new TsrunError('host', `copy up what is below a tmpfs: ${errnoText(errno)}`, { errno, cause });
  }
}

/** Piece by piece, so that a user behind many others is found and a long file takes little memory. */
function readHome(passwd: OwnedFd | undefined, uid: number): string {
  if (passwd === undefined || !fstatSync(passwd.number).isFile()) return '/';
  const buffer = Buffer.allocUnsafe(PASSWD_PIECE_BYTES);
  let kept = 0;
  for (let left = PASSWD_LIMIT_BYTES; left > 0;) {
    const count = readSync(passwd.number, buffer, kept, Math.min(buffer.length - kept, left), null);
    left -= count;
    const length = kept + count;
    // The rest of a line that is not whole waits for the next piece; one that fills a piece is no line.
    const end = count === 0 || left === 0 ? length : buffer.lastIndexOf('\n', length - 1) + 1;
    const home = findHome(buffer.toString('utf8', 0, end), uid);
    if (home !== undefined) return home;
    if (count === 0) break;
    kept = end === 0 && length === buffer.length ? 0 : buffer.copy(buffer, 0, end, length);
  }
  return '/';
}

/** Word 0 says that a program was found, word 1 + i that it is candidate i. */
function readExecutable(body: Buffer, candidates: readonly string[]): string {
  const index = candidates.findIndex((_, i) => body.length >= 16 + i * 8 && body.readBigUInt64LE(8 + i * 8) !== 0n);
  return candidates[index] ?? '';
}
