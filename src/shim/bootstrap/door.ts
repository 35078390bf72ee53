import type { Log } from '../../log.ts';
import { pollReadable, waitAny, waitReadable } from '../../sys/events/poll.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { acceptUnix, peerCredentials, receiveMessage, sendMessage } from '../../sys/socket.ts';
import { POLLIN } from '../../util/constants.ts';
import { readHello, type Hello } from '../../util/hello.ts';
import { readBundleRecord } from '../task/bundle-record.ts';
import { readOptions } from '../task/options.ts';
import type { HeldContainers } from '../task/containers.ts';
import { decode } from '../../protobuf/codec.ts';
import { ANY } from '../wire/common.ts';
import { printAddress } from './address.ts';
import { encodeKilled } from './delete.ts';
import { readFlags, type ShimFlags } from './flags.ts';
import { isShared } from './shared.ts';
import { writeAddress } from './socket.ts';

/** The kernel's limit for what a launcher sends is below (net.core.wmem_default). */
const HELLO_BYTES_MAX = 1024 * 1024;
const HELLO_TIMEOUT_MS = 1000;
const HELLO_MOMENT_MS = 1;
/** Who finds so many waiting starts an engine. */
const CONNECTIONS_MAX = 256;

/** What a shim that serves all containers of a namespace answers launchers by. */
export interface DoorOptions {
  /** Those of its own start. */
  readonly flags: ShimFlags;
  readonly build: bigint | undefined;
  /** Path of the socket at which containerd is to find it. */
  readonly socket: string;
  readonly containers: Pick<HeldContainers, 'has' | 'expect' | 'forget'>;
  readonly log: Log;
  /** It takes no containers any more. */
  readonly isOver: () => boolean;
}

/**
 * Answers `start` and `delete` in place of an engine that each of them would start. A launcher is answered with 0 and what it is to write,
 * or, where there is any doubt, with the end of the connection: it starts the engine then, and finds the same shim at its other socket.
 */
export class Door {
  readonly #options: DoorOptions;
  #connections = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** Takes connections until the signal ends it. */
  async serve(listener: OwnedFd, signal: AbortSignal): Promise<void> {
    const interests = [{ fd: listener.number, events: POLLIN }];
    for (;;) {
      await waitAny(interests, -1, { signal, isUrgent: true }).catch(() => undefined);
      if (signal.aborted) return;
      for (let socket = acceptUnix(listener.number); socket !== undefined; socket = acceptUnix(listener.number))
        this.#take(socket);
    }
  }

  #take(socket: OwnedFd): void {
    if (this.#connections >= CONNECTIONS_MAX) {
      socket.close();
      return;
    }
    this.#connections += 1;
    void uninterrupted(() => this.#converse(socket))
      .catch((error: unknown) => {
        this.#options.log.debug(`a launcher: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => {
        this.#connections -= 1;
        socket.close();
      });
  }

  /** Errors: `host`, `usage`, and those of what is carried out. */
  async #converse(socket: OwnedFd): Promise<void> {
    if (peerCredentials(socket.number).uid !== process.geteuid?.()) return;
    // It is on its way: a turn of the event loop takes longer.
    const isThere = pollReadable(socket.number, HELLO_MOMENT_MS);
    if (!isThere && !(await waitReadable(socket.number, HELLO_TIMEOUT_MS))) return;
    const { bytes, descriptors } = receiveMessage(socket.number, HELLO_BYTES_MAX);
    const [directory, ...others] = descriptors;
    for (const fd of others) fd.close();
    using held = directory;
    const hello = readHello(bytes);
    if (held === undefined || hello?.build !== this.#options.build || hello === undefined) return;
    const said = await this.#carryOut(hello, descriptorPath(held.number));
    if (said !== undefined) sendMessage(socket.number, Buffer.concat([Uint8Array.of(0), Buffer.from(said as Buffer)]));
  }

  /** What is to be printed; undefined where an engine has to see to it. */
  async #carryOut(hello: Hello, directory: string): Promise<string | Uint8Array | undefined> {
    const { flags: own } = this.#options;
    const flags = readFlags(hello.args);
    if (flags.namespace !== own.namespace || flags.address !== own.address) return undefined;
    switch (flags.action) {
      case 'version':
        return undefined;
      case 'start':
        return this.#start(flags, hello, directory);
      case 'delete':
        return this.#delete(flags, directory);
    }
  }

  async #start({ id }: ShimFlags, { input, environment }: Hello, directory: string): Promise<string | undefined> {
    const { containers, socket, log, isOver } = this.#options;
    const options = readOptions(input.length === 0 ? undefined : decode(ANY, Buffer.from(input)), log);
    if (!isShared(options, environment) || isOver()) return undefined;
    writeAddress(directory, socket);
    await containers.expect(id);
    return printAddress(socket, environment['MAX_SHIM_VERSION']);
  }

  /** One that is this shim's, or that nothing is left of; others are those of a shim that has died. */
  async #delete({ id, bundle }: ShimFlags, directory: string): Promise<Uint8Array | undefined> {
    const { containers } = this.#options;
    if (!containers.has(id) && readBundleRecord(bundle === '' ? directory : bundle) !== undefined) return undefined;
    await containers.forget(id);
    return encodeKilled(0);
  }
}
