import { readFileSync } from 'node:fs';
import { SIG_BLOCK, SIG_SETMASK } from '../../util/constants.ts';
import { SIGNALS } from '../../util/signals.ts';
import { checked } from '../errno.ts';
import type { OwnedFd } from '../fd.ts';
import { writeFully } from '../io.ts';
import { bindLibc, bindLibrary, loadKoffi } from '../library.ts';
import { pipe } from '../pipe.ts';
import { waitReadable } from './poll.ts';
import { makeSignalHandler, type SignalHandler } from './signal-handler.ts';

/**
 * Signals of this process, also those that the engine has no name for.
 *
 * signalfd(2) would need them blocked in every thread. An engine has started threads of its own before any of this code runs, nobody
 * can change the mask of another thread, and the kernel gives a signal to any thread that has not blocked it. A handler is run whichever
 * thread it hits:
 *
 *     Node  libuv's, by uv_signal_*: whoever else listens in this process goes on to hear
 *     Bun   one in machine code (`signal-handler.ts`), which leaves SIGPWR to the engine where the engine has sent it: JavaScriptCore
 *           suspends its threads by it, and would stand still for ever if the main thread had it blocked
 */
export interface SignalCatch extends Disposable {
  /** The signals act on this process as they did before. */
  [Symbol.dispose](): void;
}

/** Calls `take` with the number of each of these signals that comes, in a turn of the event loop. Errors: `host` in a Worker of Node. */
export function catchSignals(numbers: readonly number[], take: (number: number) => void): SignalCatch {
  catcher ??= process.versions.bun === undefined ? new UvCatcher() : new PipeCatcher();
  const shared = catcher;
  for (const number of numbers) shared.add(number, take);
  return {
    [Symbol.dispose]: () => {
      for (const number of numbers) shared.remove(number, take);
    },
  };
}

type Take = (number: number) => void;

/** A process has one set of signals, however many listen. */
let catcher: Catcher | undefined;

abstract class Catcher {
  /** What this process was started with blocked, and is not now because it is caught: bit n - 1 for signal n. */
  unblocked = 0n;
  readonly #listeners = new Map<number, Set<Take>>();
  readonly #previous = new Map<number, Buffer>();

  add(number: number, take: Take): void {
    const known = this.#listeners.get(number);
    if (known === undefined) {
      const previous = readAction(number);
      this.begin(number, previous);
      this.#previous.set(number, previous);
      this.#listeners.set(number, new Set([take]));
    } else known.add(take);
  }

  remove(number: number, take: Take): void {
    const listeners = this.#listeners.get(number);
    if (listeners?.delete(take) !== true || listeners.size > 0) return;
    this.#listeners.delete(number);
    const previous = this.#previous.get(number);
    this.#previous.delete(number);
    if (previous !== undefined) this.end(number, previous);
  }

  protected get isIdle(): boolean {
    return this.#listeners.size === 0;
  }

  protected dispatch(number: number): void {
    for (const take of [...(this.#listeners.get(number) ?? [])]) take(number);
  }

  protected abstract begin(number: number, previous: Buffer): void;
  protected abstract end(number: number, previous: Buffer): void;
}

/** struct sigaction of glibc and musl: handler, 128 bytes of mask, int flags, restorer. */
const ACTION_BYTES = 152;
const ACTION_FLAGS = 136;
const SA_SIGINFO = 4;
const SA_ONSTACK = 0x0800_0000;
const SA_RESTART = 0x1000_0000;
const SIG_DFL = 0n;
const SIG_IGN = 1n;

const sigaction = bindLibc('int sigaction(int signal, const void *action, void *previous)');
const pthreadSigmask = bindLibc('int pthread_sigmask(int how, const void *set, void *previous)');

function readAction(number: number): Buffer {
  const action = Buffer.alloc(ACTION_BYTES);
  checked(sigaction(number, null, action), `look at signal ${number}`);
  return action;
}

function handlerOf(action: Buffer): bigint {
  return action.readBigUInt64LE(0);
}

/** Engines ignore these two for themselves; what they had been before is not known any more. */
const IGNORED_BY_ENGINES = signalBit(SIGNALS.PIPE) | signalBit(SIGNALS.XFSZ);

/**
 * What this process was started with, bit n - 1 for signal n. Bun leaves it as it is; Node has unblocked and reset all signals before
 * anybody could look.
 */
export function inheritedSignals(): { readonly blocked: bigint; readonly ignored: bigint } {
  const mask = Buffer.alloc(128);
  pthreadSigmask(SIG_BLOCK, null, mask);
  const text = readFileSync('/proc/self/status', 'latin1');
  const ignored = BigInt(`0x${/^SigIgn:\s*([\da-f]+)$/m.exec(text)?.[1] ?? '0'}`);
  // Blocked here only (see `UvCatcher`).
  const blocked = (mask.readBigUInt64LE(0) | (catcher?.unblocked ?? 0n)) & ~signalBit(SIGNALS.PIPE);
  return { blocked, ignored: ignored & ~IGNORED_BY_ENGINES };
}

function signalBit(number: number): bigint {
  return 1n << BigInt(number - 1);
}

const SIG_UNBLOCK = 1;

/** Those of them that were blocked come now, bit n - 1 for signal n, and were not what this process was started with. */
export function unblockSignals(signals: bigint): void {
  const set = Buffer.alloc(128);
  set.writeBigUInt64LE(signals, 0);
  pthreadSigmask(SIG_UNBLOCK, set, null);
  if (catcher !== undefined) catcher.unblocked &= ~signals;
}

/** Runs something while this thread has a signal blocked. */
export function withBlocked<T>(number: number, body: () => T): T {
  const previous = Buffer.alloc(128);
  pthreadSigmask(SIG_BLOCK, signalSet(number), previous);
  try {
    return body();
  } finally {
    pthreadSigmask(SIG_SETMASK, previous, null);
  }
}

function signalSet(number: number): Buffer {
  const set = Buffer.alloc(128);
  set.writeBigUInt64LE(signalBit(number), 0);
  return set;
}

/** Larger than uv_signal_t, which has 152 bytes. */
const UV_HANDLE_BYTES = 512;
const uvDefaultLoop = bindLibrary('program', 'void *uv_default_loop()');
const uvSignalInit = bindLibrary('program', 'int uv_signal_init(void *loop, void *handle)');
const uvSignalStart = bindLibrary('program', 'int uv_signal_start(void *handle, void *callback, int signal)');
const uvSignalStop = bindLibrary('program', 'int uv_signal_stop(void *handle)');
const uvUnref = bindLibrary('program', 'void uv_unref(void *handle)');

class UvCatcher extends Catcher {
  /** Signal number -> handle of libuv, kept for the next time. */
  readonly #handles = new Map<number, Buffer>();
  readonly #callback: bigint;

  constructor() {
    super();
    const gettid = bindLibc('int gettid()');
    checked(gettid() === process.pid ? 0 : -1, 'catch signals in a Worker');
    const koffi = loadKoffi();
    const type = koffi.pointer(koffi.proto('void', ['void *', 'int']));
    this.#callback = koffi.register((_handle: unknown, number: number) => {
      this.dispatch(number);
    }, type);
  }

  protected begin(number: number): void {
    checked(uvSignalStart(this.#handleOf(number), this.#callback, number), `catch signal ${number}`);
    // The kernel sends it to the thread whose own write has failed; that one is no message for anybody.
    if (number === SIGNALS.PIPE) pthreadSigmask(SIG_BLOCK, signalSet(number), null);
  }

  protected end(number: number, previous: Buffer): void {
    uvSignalStop(this.#handleOf(number));
    // libuv leaves the default action behind; Node itself ignores SIGPIPE, and has handlers for SIGINT and SIGTERM.
    if (handlerOf(readAction(number)) === SIG_DFL) sigaction(number, previous, null);
    if (number === SIGNALS.PIPE) pthreadSigmask(SIG_UNBLOCK, signalSet(number), null);
  }

  #handleOf(number: number): Buffer {
    const known = this.#handles.get(number);
    if (known !== undefined) return known;
    const handle = Buffer.alloc(UV_HANDLE_BYTES);
    uvSignalInit(uvDefaultLoop(), handle);
    // Waiting for a signal alone keeps no process alive.
    uvUnref(handle);
    this.#handles.set(number, handle);
    return handle;
  }
}

/** siginfo_t: int si_signo, si_errno, si_code, 4 bytes of padding, int si_pid. */
const SIGINFO_BYTES = 128;
const SI_PID = 16;
const SIGINFOS_MAX = 64;
const readCall = bindLibc('long read(int fd, void *bytes, size_t count)');

class PipeCatcher extends Catcher {
  readonly #reader: OwnedFd;
  readonly #writer: OwnedFd;
  readonly #handler: SignalHandler;
  #isPumping = false;

  constructor() {
    super();
    [this.#reader, this.#writer] = pipe({ nonBlocking: true });
    this.#handler = makeSignalHandler(this.#writer.number);
  }

  protected begin(number: number, previous: Buffer): void {
    const handler = handlerOf(previous);
    this.#handler.setPrevious(number, handler);
    // The mask and the flags of a handler that is still called are those it was made for.
    const action = Buffer.from(previous);
    const isHandled = handler !== SIG_DFL && handler !== SIG_IGN;
    const flags = isHandled ? action.readUInt32LE(ACTION_FLAGS) : SA_ONSTACK | SA_RESTART;
    action.writeUInt32LE((flags | SA_SIGINFO) >>> 0, ACTION_FLAGS);
    action.writeBigUInt64LE(this.#handler.address, 0);
    checked(sigaction(number, action, null), `catch signal ${number}`);
    this.#unblock(number);
    if (!this.#isPumping) void this.#pump();
  }

  protected end(number: number, previous: Buffer): void {
    if ((this.unblocked & signalBit(number)) !== 0n) pthreadSigmask(SIG_BLOCK, signalSet(number), null);
    this.unblocked &= ~signalBit(number);
    sigaction(number, previous, null);
    if (this.isIdle) writeFully(this.#writer.number, Buffer.alloc(SIGINFO_BYTES));
  }

  /** A caller that has a signal blocked for itself has not said that the program shall not get it. */
  #unblock(number: number): void {
    const previous = Buffer.alloc(128);
    pthreadSigmask(SIG_UNBLOCK, signalSet(number), previous);
    this.unblocked |= previous.readBigUInt64LE(0) & signalBit(number);
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    const bytes = Buffer.alloc(SIGINFOS_MAX * SIGINFO_BYTES);
    do {
      await waitReadable(this.#reader.number);
      const count = readCall(this.#reader.number, bytes, bytes.length);
      for (let at = 0; at + SIGINFO_BYTES <= count; at += SIGINFO_BYTES) this.#take(bytes.subarray(at));
    } while (!this.isIdle);
    this.#isPumping = false;
  }

  #take(info: Buffer): void {
    const number = info.readInt32LE(0);
    // As above: of a write of this process's own.
    const isOwn = number === SIGNALS.PIPE && info.readInt32LE(SI_PID) === process.pid;
    if (!isOwn) this.dispatch(number);
  }
}
