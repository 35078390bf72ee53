import { TsrunError } from '../../errors.ts';
import type { ExchangeName } from '../../plan/base/exchanges.ts';
import type { Phase } from '../../plan/base/phases.ts';
import { findHome } from '../../plan/process/environment.ts';
import type { Conversation, Reply } from '../../process/conversation.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { findInLines } from '../../host/find-in-lines.ts';

/** What init says at each exchange. Descriptors are closed afterwards: who keeps one duplicates it. */
interface Replies {
  /** The spawned process waits for its cgroup. */
  cgroup: object;
  /** The spawned process waits for the maps of its user namespace. */
  'id-maps': object;
  /** The process that stays exists. */
  pid: { readonly pid: number };
  /** A netlink socket of the container's network namespace. */
  network: { readonly socket: OwnedFd };
  /** A directory that is to be filled with what is in another. */
  'copy-up': { readonly upper: OwnedFd; readonly lower: OwnedFd };
  /** The rootfs is prepared and not yet entered; init waits for programs. */
  rootfs: object;
  /** Likewise, with struct statx of the mount of the rootfs. */
  'host-mounts': { readonly statx: Buffer };
  console: { readonly master: OwnedFd };
  passwd: { readonly passwd: OwnedFd | undefined };
  /** The listener of the filter, in a form that `handOverListener` knows. */
  seccomp: { readonly listener: Reply };
  /** Which of the candidates for the program was found. */
  ready: { readonly found: Buffer };
}

/** A reply at one of several exchanges: `exchange` tells which. */
export type ReplyAt<At extends ExchangeName> = { [Each in At]: { readonly exchange: Each } & Replies[Each] }[At];

const READERS: { readonly [At in ExchangeName]: (reply: Reply) => Replies[At] } = {
  cgroup: () => ({}),
  'id-maps': () => ({}),
  pid: ({ body }) => ({ pid: Number(body.readBigUInt64LE(0)) }),
  network: ({ descriptors: [socket] }) => ({ socket: socket ?? missing('move network devices: init sent no socket') }),
  'copy-up': ({ descriptors: [upper, lower] }) => {
    const what = 'copy up: init sent no directories';
    return { upper: upper ?? missing(what), lower: lower ?? missing(what) };
  },
  rootfs: () => ({}),
  'host-mounts': ({ body }) => ({ statx: body }),
  console: ({ descriptors: [master] }) => ({ master: master ?? missing('open the console: init sent no terminal') }),
  passwd: ({ descriptors: [passwd] }) => ({ passwd }),
  seccomp: (reply) => ({ listener: reply }),
  ready: ({ body }) => ({ found: body }),
};

function missing(message: string): never {
  throw new TsrunError('init', message);
}

/**
 * Has the phases of a plan executed, one program after the other. Init waits at each reply until the next is asked for: meanwhile the
 * parent does its part, and may itself talk with init.
 *
 * Errors: `step`, `program`; `init` when init is gone, see `explainDeath`.
 */
export async function* bringUp<At extends ExchangeName>(
  phases: readonly Phase<At>[],
  conversation: Conversation,
): AsyncGenerator<ReplyAt<At>, void, void> {
  for (const [index, { program, exchange }] of phases.entries()) {
    const reply = await conversation.run(program, phases[index + 1]?.program);
    try {
      yield { exchange, ...READERS[exchange](reply) };
    } finally {
      for (const descriptor of reply.descriptors) descriptor.close();
    }
  }
}

/** Copies one directory into another. A file may have an owner that a new user namespace does not map (EOVERFLOW), or not fit. */
export async function copyUpOrFail({ lower, upper }: Pick<ReplyAt<'copy-up'>, 'lower' | 'upper'>): Promise<void> {
  // Few containers need it, and it brings half of node:fs along.
  const { copyUp } = await import('./copy-up.ts');
  try {
    await copyUp(lower.number, upper.number);
  } catch (cause) {
    if (cause instanceof TsrunError) throw cause;
    throw TsrunError.of('host', 'copy up what is below a tmpfs', cause);
  }
}

/** The home directory of a user from a passwd file, `/` where it has none. */
export function readHome({ passwd }: Pick<ReplyAt<'passwd'>, 'passwd'>, uid: number): string {
  return (passwd && findInLines(passwd, (text) => findHome(text, uid))) ?? '/';
}

/** The program that was found. Word 0 says that one was, word 1 + i that it is candidate i. */
export function readExecutable(
  { found: body }: Pick<ReplyAt<'ready'>, 'found'>,
  candidates: readonly string[],
): string {
  const index = candidates.findIndex((_, i) => body.length >= 16 + i * 8 && body.readBigUInt64LE(8 + i * 8) !== 0n);
  return candidates[index] ?? '';
}
