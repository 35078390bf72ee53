import { eventfd } from './eventfd.ts';
import type { OwnedFd } from './fd.ts';
import { writeFully } from './io.ts';
import { bindLibc } from './library.ts';

const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');
const read = bindLibc('long read(int fd, void *bytes, size_t count)');

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;

/** Whether the descriptor can be read (or has reached its end) within `timeoutMs`; blocks this thread so long. */
export function pollReadable(fd: number, timeoutMs: number): boolean {
  return pollCall(encodeEntries([{ fd, events: POLLIN }]), 1, timeoutMs) > 0;
}

/**
 * Waits on a thread of the pool until the descriptor can be read or has reached its end; the event loop goes on.
 * Answers false when `timeoutMs` passed (-1 waits for ever).
 */
export async function waitReadable(fd: number, timeoutMs = -1): Promise<boolean> {
  return (await waitAny([{ fd, events: POLLIN }], timeoutMs)).length > 0;
}

export interface Interest {
  readonly fd: number;
  /** POLLIN, POLLPRI or POLLOUT; errors and the end of the other side are always told. */
  readonly events: number;
}

/**
 * The descriptors that have what is wanted of them, waited for like `waitReadable`; none when `timeoutMs` passed.
 * They stay open until then.
 *
 * Source: man 2 poll.
 */
export function waitAny(interests: readonly Interest[], timeoutMs = -1): Promise<readonly number[]> {
  const deadline = timeoutMs < 0 ? Infinity : performance.now() + timeoutMs;
  return new Promise((resolve, reject) => {
    waits.add({ interests, deadline, resolve, reject });
    if (bell === undefined) void serveWaits();
    else writeFully(bell.number, ONE);
  });
}

interface Wait {
  readonly interests: readonly Interest[];
  /** By the clock of `performance.now`, ms. */
  readonly deadline: number;
  readonly resolve: (ready: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * All waits of this process share one thread: the pool has four in Node, and those who import the library need them for files and
 * names while their containers run.
 */
const waits = new Set<Wait>();
/** Rung to tell that thread of one wait more; there while it waits. */
let bell: OwnedFd | undefined;
const ONE = Buffer.from(BigUint64Array.of(1n).buffer);

async function serveWaits(): Promise<void> {
  try {
    using rung = eventfd();
    bell = rung;
    while (waits.size > 0) await serveOnce(rung.number);
  } catch (error) {
    for (const { reject } of waits) reject(error);
    waits.clear();
  } finally {
    bell = undefined;
  }
}

async function serveOnce(rung: number): Promise<void> {
  const served = [...waits];
  const interests = [{ fd: rung, events: POLLIN }, ...served.flatMap((wait) => wait.interests)];
  const deadline = Math.min(...served.map((wait) => wait.deadline));
  const has = await pollInPool(interests, deadline);
  if (has[0] === true) read(rung, Buffer.alloc(ONE.length), ONE.length);
  let next = 1;
  for (const wait of served) {
    const first = next;
    next += wait.interests.length;
    const ready = wait.interests.filter((_, index) => has[first + index]).map(({ fd }) => fd);
    if (ready.length === 0 && performance.now() < wait.deadline) continue;
    waits.delete(wait);
    wait.resolve(ready);
  }
}

/** For each interest whether it has what is wanted of it. EINTR (-1) tells nothing, and the caller looks again. */
function pollInPool(interests: readonly Interest[], deadline: number): Promise<readonly boolean[]> {
  const entries = encodeEntries(interests);
  const leftMs = Math.ceil(Math.max(0, deadline - performance.now()));
  const timeoutMs = deadline === Infinity ? -1 : Math.min(leftMs, TIMEOUT_MS_MAX);
  return new Promise((resolve, reject) => {
    pollCall.async(entries, interests.length, timeoutMs, (error: Error | null, result: number) => {
      // The entries stay referenced until here.
      if (error !== null) reject(error);
      else resolve(interests.map((_, index) => result > 0 && entries.readInt16LE(index * ENTRY_BYTES + 6) !== 0));
    });
  });
}

const ENTRY_BYTES = 8;
const TIMEOUT_MS_MAX = 0x7fff_ffff;

/** struct pollfd: int fd, short events, short revents. */
function encodeEntries(interests: readonly Interest[]): Buffer {
  const entries = Buffer.alloc(interests.length * ENTRY_BYTES);
  for (const [index, { fd, events }] of interests.entries()) {
    entries.writeInt32LE(fd, index * ENTRY_BYTES);
    entries.writeInt16LE(events, index * ENTRY_BYTES + 4);
  }
  return entries;
}
