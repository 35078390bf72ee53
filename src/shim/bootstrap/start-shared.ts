import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { nowMs } from '../../sys/clock.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { openFile } from '../../sys/file.ts';
import { getRlimit } from '../../sys/process/prlimit.ts';
import { O_RDWR, RLIMIT_NOFILE } from '../../util/constants.ts';
import type { ShimOptions } from '../task/options.ts';
import type { Method, Services } from '../ttrpc/server.ts';
import { decode } from '../../protobuf/codec.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { SHARED_METHODS, SHARED_SERVICE } from '../wire/shared.ts';
import { doorPath, printAddress, sharedSocketPath } from './address.ts';
import { ensureCompiling } from './compiling.ts';
import { Door } from './door.ts';
import type { ShimFlags } from './flags.ts';
import { Holding } from './holding.ts';
import { removeOrphans } from './orphans.ts';
import { askShared } from './shared.ts';
import type { ShimProcess } from './shim-process.ts';
import { createShimLog, writeToAny } from './shim-log.ts';
import { isServed, listenForGroup, writeAddress, type Listener } from './socket.ts';
import { enterSurroundings, leaveCaller } from './surroundings.ts';

/** Each time there is a shim that comes to its end in this very moment. */
const TRIES = 5;
const ANSWER_MS = 5_000;
/** It stays a while for the next container: who runs one after the other does not start it each time. */
const IDLE_MS = 10_000;
const CHECK_MS = 2_500;
/** containerd's own patience with `delete` is over then. */
const ORPHANED_MS = 6_000;
/** containerd has a connection for each container; a container has some descriptors beside it. */
const DESCRIPTORS_PER_CONTAINER = 16;

/**
 * Becomes the shim of all containers of a containerd and namespace, or has the one that there is expect another container; and says its
 * address.
 *
 *      listen --> nobody does: hold containers until there have been none for a while
 *        |
 *        v
 *      Expect --> answered: it stays for this container
 *        |
 *        +--> it has ended meanwhile: from the beginning
 *
 * The working directory is the bundle of a container like any other. Errors: `host`, before the address is said.
 */
export async function startShared(
  flags: ShimFlags,
  own: ShimProcess,
  { options, sent }: { readonly options: ShimOptions; readonly sent: Uint8Array },
): Promise<void> {
  const socket = sharedSocketPath(flags);
  if (!isServed(socket)) ensureCompiling(own, sent);
  for (let tries = 0; tries < TRIES; tries += 1) {
    using listener = await listenForGroup(socket);
    if (listener !== undefined) {
      enterSurroundings(options, { isExpendable: false });
      await hold({ flags, own, socket, listener });
      return;
    }
    if (await askShared(socket, 'Expect', { id: flags.id, timeoutMs: ANSWER_MS })) {
      writeAddress('.', socket);
      own.answer(printAddress(socket, own.environment['MAX_SHIM_VERSION']));
      return;
    }
  }
  throw new TsrunError(
    'host',
    `find the shared shim at ${JSON.stringify(socket)}: it has ended ${TRIES} times meanwhile`,
  );
}

interface Shared {
  readonly flags: ShimFlags;
  readonly own: ShimProcess;
  readonly socket: string;
  readonly listener: Listener;
}

async function hold({ flags, own, socket, listener }: Shared): Promise<void> {
  let isOver = false;
  const log = createShimLog(
    (text) => {
      writeToAny(holding.containers.bundles(), text);
    },
    { debug: flags.debug },
  );
  const others = sharedServices({
    Expect: async (id) => {
      if (isOver) throw new RpcError(CODE.failedPrecondition, 'the shim has come to its end');
      await holding.containers.expect(id);
    },
    Forget: (id) => holding.containers.forget(id),
  });
  const connectionsMax = Math.floor(Number(getRlimit(RLIMIT_NOFILE).soft) / DESCRIPTORS_PER_CONTAINER);
  const holding: Holding = new Holding({ flags, own, log, others, connectionsMax });
  const bundles = path.resolve('..');
  using door = await listenForGroup(doorPath('.'), 'seqpacket');
  writeAddress('.', socket);
  await holding.containers.expect(flags.id);
  const retire = async (): Promise<boolean> => {
    await listener.remove(() => (isOver = holding.containers.isEmpty));
    if (isOver) holding.stop();
    return isOver;
  };
  await holding.serve(listener, () => {
    own.answer(printAddress(socket, own.environment['MAX_SHIM_VERSION']));
    using nothing = openFile('/dev/null', O_RDWR);
    leaveCaller(nothing);
    endWhenIdle(holding, retire);
    callAfter(ORPHANED_MS, () => void removeOrphans(bundles, { socket, containers: holding.containers, log }));
    if (door === undefined) return;
    const { containers, stopping } = holding;
    const keeper = new Door({ flags, build: own.build, socket, containers, log, isOver: () => isOver });
    void keeper.serve(door.fd, stopping);
  });
  await door?.remove();
}

function endWhenIdle({ containers, stopping }: Holding, retire: () => Promise<boolean>): void {
  let sinceMs: number | undefined;
  const check = (): void => {
    if (stopping.aborted) return;
    sinceMs = containers.isEmpty ? (sinceMs ?? nowMs()) : undefined;
    if (sinceMs === undefined || nowMs() - sinceMs < IDLE_MS) comeAgain();
    else void end();
  };
  const end = async (): Promise<void> => {
    // Later, where one who looks for it is in the way.
    if (!(await retire().catch(() => false))) comeAgain();
  };
  const comeAgain = (): void => {
    callAfter(CHECK_MS, check);
  };
  comeAgain();
}

function sharedServices(
  handlers: Readonly<Record<keyof typeof SHARED_METHODS, (id: string) => Promise<void>>>,
): Services {
  const methods = Object.entries(handlers).map(([name, handle]): [string, Method] => [
    name,
    async (payload) => {
      await handle(decode(SHARED_METHODS[name as keyof typeof SHARED_METHODS], payload).id);
      return new Uint8Array();
    },
  ]);
  return new Map([[SHARED_SERVICE, new Map(methods)]]);
}
