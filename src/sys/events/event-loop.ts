import { readdirSync, readlinkSync } from 'node:fs';
import { EPOLLET, type Epoll } from './epoll.ts';
import { descriptorPath } from '../fd.ts';
import { eventfd } from './eventfd.ts';
import { writeFully } from '../io.ts';
import { bindLibc, bindLibrary, loadKoffi } from '../library.ts';
import { isTurnWanted } from './turn-queue.ts';
import { nowMs } from '../clock.ts';

/**
 * How the event loop of the engine learns that an epoll descriptor has something, without a thread:
 *
 *     Node              its own loop watches the descriptor: libuv's uv_poll_*
 *     Bun               has no such thing (uv_poll_init aborts): the main thread waits, for the descriptors of Bun's loop as well,
 *                       and goes back to the loop when something is there for it
 *     a Worker of Node  its loop cannot be had: one thread of the pool waits
 */
export interface LoopWatch {
  /**
   * Calls back in a turn of the loop when there is something, or `timeoutMs` has passed (-1: never); again and again until `stop`. A weak
   * watch keeps no process from ending.
   */
  start(timeoutMs: number, options: WatchOptions): void;
  stop(): void;
  /** Whether the loop goes round between two calls, so that those who waited for different things can have a turn each. */
  readonly hasTurns: boolean;
}

/** A weak watch keeps no process from ending. */
export interface WatchOptions {
  readonly isWeak: boolean;
}

/** The way of this engine. `look` is called in a turn of the loop; for how long it may wait on this thread, it is told. */
export function watchEpoll(epoll: Epoll, look: (patienceMs: number) => void): LoopWatch {
  if (process.versions.bun !== undefined) return new MainThreadWatch(epoll, look);
  const gettid = bindLibc('int gettid()');
  const onTurn = (): void => {
    look(0);
  };
  return gettid() === process.pid ? new UvWatch(epoll, onTurn) : new PoolWatch(epoll, onTurn);
}

const UV_READABLE = 1;
/** Larger than uv_poll_t, which has 160 bytes. */
const UV_HANDLE_BYTES = 512;

/** Time limits by the engine's own timer, which a loop that turns serves. */
abstract class TimedWatch implements LoopWatch {
  readonly hasTurns = true;
  #timer: NodeJS.Timeout | undefined;
  protected readonly onTurn: () => void;

  constructor(onTurn: () => void) {
    this.onTurn = onTurn;
  }

  start(timeoutMs: number, options: WatchOptions): void {
    clearTimeout(this.#timer);
    this.#timer = timeoutMs < 0 ? undefined : setTimeout(this.onTurn, timeoutMs);
    if (options.isWeak) this.#timer?.unref();
    this.watch(options);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.unwatch();
  }

  protected abstract watch(options: WatchOptions): void;
  protected abstract unwatch(): void;
}

class UvWatch extends TimedWatch {
  /** Memory that libuv keeps, for as long as the process lives. */
  readonly #handle = Buffer.alloc(UV_HANDLE_BYTES);
  readonly #callback: bigint;
  readonly #start = bindLibrary('program', 'int uv_poll_start(void *handle, int events, void *callback)');
  readonly #stop = bindLibrary('program', 'int uv_poll_stop(void *handle)');
  readonly #ref = bindLibrary('program', 'void uv_ref(void *handle)');
  readonly #unref = bindLibrary('program', 'void uv_unref(void *handle)');
  /** A loop that is being taken down must not call into JavaScript any more. */
  readonly #onExit = (): void => {
    this.unwatch();
  };
  #isWatching = false;
  #isWeak = false;

  constructor(epoll: Epoll, onTurn: () => void) {
    super(onTurn);
    const koffi = loadKoffi();
    const type = koffi.pointer(koffi.proto('void', ['void *', 'int', 'int']));
    this.#callback = koffi.register(onTurn, type);
    const loop = bindLibrary('program', 'void *uv_default_loop()')();
    const init = bindLibrary('program', 'int uv_poll_init(void *loop, void *handle, int fd)');
    const result = init(loop, this.#handle, epoll.number);
    if (result !== 0) throw new Error(`bug: uv_poll_init answers ${result}`);
  }

  protected watch({ isWeak }: WatchOptions): void {
    if (isWeak !== this.#isWeak) (isWeak ? this.#unref : this.#ref)(this.#handle);
    this.#isWeak = isWeak;
    if (this.#isWatching) return;
    this.#start(this.#handle, UV_READABLE, this.#callback);
    this.#isWatching = true;
    process.on('exit', this.#onExit);
  }

  protected unwatch(): void {
    if (!this.#isWatching) return;
    this.#stop(this.#handle);
    this.#isWatching = false;
    process.off('exit', this.#onExit);
  }
}

const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');
const readCall = bindLibc('long read(int fd, void *bytes, size_t count)');
const ONE = Buffer.from(BigUint64Array.of(1n).buffer);

class PoolWatch extends TimedWatch {
  readonly #epoll: Epoll;
  /** Rung to have the thread come back. */
  readonly #bell = eventfd();
  #isWatching = false;
  #isThreadOut = false;

  constructor(epoll: Epoll, onTurn: () => void) {
    super(onTurn);
    this.#epoll = epoll;
    epoll.add(this.#bell.number, 1);
  }

  protected watch(): void {
    this.#isWatching = true;
    if (this.#isThreadOut) return;
    this.#isThreadOut = true;
    // struct pollfd: int fd, short events (POLLIN), short revents.
    const entry = Buffer.alloc(8);
    entry.writeInt32LE(this.#epoll.number, 0);
    entry.writeInt16LE(1, 4);
    pollCall.async(entry, 1, -1, () => {
      // The entry stays referenced until here.
      this.#isThreadOut = entry.length === 0;
      readCall(this.#bell.number, Buffer.alloc(ONE.length), ONE.length);
      this.onTurn();
      if (this.#isWatching) this.watch();
    });
  }

  protected unwatch(): void {
    this.#isWatching = false;
    if (this.#isThreadOut) writeFully(this.#bell.number, ONE);
  }
}

class MainThreadWatch implements LoopWatch {
  readonly hasTurns = false;
  readonly #look: (patienceMs: number) => void;
  #deadline = Infinity;
  #isWatching = false;
  #isQueued = false;

  constructor(epoll: Epoll, look: (patienceMs: number) => void) {
    this.#look = look;
    // Edges alone: what the loop leaves lying, or another loop's descriptor that a caller has leaked, wakes nobody twice.
    for (const fd of findEventPolls(epoll.number)) epoll.add(fd, 1 | EPOLLET);
  }

  /** What nobody waits for in earnest is looked at when somebody does: this thread would stand still for it. */
  start(timeoutMs: number, { isWeak }: WatchOptions): void {
    this.#deadline = timeoutMs < 0 ? Infinity : nowMs() + timeoutMs;
    this.#isWatching = !isWeak;
    if (isWeak) return;
    this.#queue();
  }

  stop(): void {
    this.#isWatching = false;
  }

  /** In a turn of its own: whatever else is to be done now comes first. */
  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    setImmediate(() => {
      this.#isQueued = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (!this.#isWatching) return;
    // Queued now, it runs after the loop has gone round.
    this.#queue();
    if (isTurnWanted()) {
      this.#look(0);
      return;
    }
    const leftMs = Math.ceil(Math.max(0, this.#deadline - nowMs()));
    this.#look(this.#deadline === Infinity ? -1 : Math.min(leftMs, TIMEOUT_MS_MAX));
  }
}

const TIMEOUT_MS_MAX = 0x7fff_ffff;

/** The epoll descriptors that this process had before. */
function findEventPolls(own: number): number[] {
  const isEventPoll = (fd: number): boolean => {
    try {
      return readlinkSync(descriptorPath(fd)) === 'anon_inode:[eventpoll]';
    } catch {
      // The descriptor of the directory itself, closed by now.
      return false;
    }
  };
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd !== own && isEventPoll(fd));
}
