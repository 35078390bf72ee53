import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseJson } from '../../spec/parse.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { catchSignals } from '../../sys/events/signals.ts';
import { Runtime, type RuntimeOptions } from '../../library/runtime.ts';
import type { Log } from '../../log.ts';
import { openFile } from '../../sys/file.ts';
import { beginSession, replaceStandard } from '../../sys/process/session.ts';
import { setProcessName } from '../../sys/process/name.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { O_RDWR } from '../../util/constants.ts';
import { SIGNALS } from '../../util/signals.ts';
import { writeAtomically, type BundleRecord } from '../task/bundle-record.ts';
import { readOptions } from '../task/options.ts';
import { Publisher } from '../task/publisher.ts';
import { Reaper } from '../task/reaper.ts';
import { TaskService } from '../task/service.ts';
import { Server } from '../ttrpc/server.ts';
import { decode } from '../wire/codec.ts';
import { ANY } from '../wire/common.ts';
import { groupOf, printAddress, socketPath } from './address.ts';
import type { ShimFlags } from './flags.ts';
import type { ShimProcess } from './shim-process.ts';
import { createShimLog, openLogFile } from './shim-log.ts';
import { listenForGroup } from './socket.ts';
import { joinCgroup, raiseOomScore } from './surroundings.ts';

/** The kernel keeps 15 letters of it. */
const NAME = 'containerd-shim';
const CACHE = '/run/tsrun-cache';
const FLUSH_MS = 5_000;
/** In which the call that ends it is answered. */
const ANSWER_MS = 10;

/**
 * Becomes the shim of a container's group, unless there is one; says its address; and serves until its last container is gone.
 *
 * The working directory is the bundle. Errors: `host`, `bundle`, before the address is said.
 */
export async function start(flags: ShimFlags, own: ShimProcess): Promise<void> {
  const { namespace, address, id, debug } = flags;
  const { environment } = own;
  const socket = socketPath({ address, namespace, group: groupOf(readConfig(), id) });
  const said = printAddress(socket, environment['MAX_SHIM_VERSION']);
  using listener = await listenForGroup(socket);
  if (listener !== undefined) enterSurroundings(debug);
  writeAtomically('address', `unix://${socket}`);
  if (listener === undefined) {
    own.answer(said);
    return;
  }
  const logFile = openLogFile();
  using log = createShimLog(logFile, { debug });
  const publisher = new Publisher({ address: eventAddress(flags, environment), namespace, log });
  const stopping = new AbortController();
  const stop = (): void => {
    stopping.abort();
  };
  const retire = async (): Promise<void> => {
    try {
      await listener.remove();
    } finally {
      callAfter(ANSWER_MS, stop);
    }
  };
  const runtimes = new Runtimes({ log, own });
  const runtimeAt = (place: BundleRecord): Runtime => runtimes.at(place);
  const service = new TaskService({ namespace, publisher, reaper: new Reaper(), log, runtimeAt }, retire);
  const server = new Server(service.services(), log);
  keepGoing(log);
  using _signals = catchSignals([SIGNALS.TERM, SIGNALS.INT], stop);
  own.answer(said);
  leaveCaller(logFile);
  await server.serve(listener.fd, stopping.signal);
  await listener.remove();
  await publisher.flush(FLUSH_MS);
  server.close();
}

function readConfig(): unknown {
  try {
    return parseJson(readFileSync('config.json', 'utf8'));
  } catch (cause) {
    throw TsrunError.of('bundle', 'read "config.json" in the working directory', cause);
  }
}

/** A process group, and a place among the processes, of its own. Errors: `host`; those of options. */
function enterSurroundings(debug: boolean): void {
  beginSession();
  setProcessName(NAME);
  raiseOomScore();
  const options = readFileSync(0);
  const silent = createShimLog(openFile('/dev/null', O_RDWR), { debug });
  const { shimCgroup } = readOptions(options.length === 0 ? undefined : decode(ANY, options), silent);
  if (shimCgroup !== '') joinCgroup(shimCgroup);
}

/** containerd waits until nobody has its pipe any more; and the bundle is not this process's to hold. */
function leaveCaller(logFile: OwnedFd): void {
  using nothing = openFile('/dev/null', O_RDWR);
  replaceStandard(0, nothing);
  replaceStandard(1, logFile);
  replaceStandard(2, logFile);
  process.chdir('/');
}

/** Who holds containers does not end by a mistake in the serving of one. */
function keepGoing(log: Log): void {
  const tell = (error: unknown): void => {
    log.error(`bug in tsrun: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
}

function eventAddress({ address }: ShimFlags, { TTRPC_ADDRESS }: ShimProcess['environment']): string {
  return TTRPC_ADDRESS ?? `${address}.ttrpc`;
}

/** A runtime for each place that containers are kept in. */
class Runtimes {
  readonly #made = new Map<string, Runtime>();
  readonly #parts: { readonly log: Log; readonly own: ShimProcess };

  constructor(parts: { readonly log: Log; readonly own: ShimProcess }) {
    this.#parts = parts;
  }

  at({ root, cgroupManager }: BundleRecord): Runtime {
    const key = `${cgroupManager} ${root}`;
    const made = this.#made.get(key) ?? new Runtime(this.#options({ root, cgroupManager }));
    this.#made.set(key, made);
    return made;
  }

  #options(place: BundleRecord): RuntimeOptions {
    const { log, own } = this.#parts;
    const messages = {
      debug: (message: string) => {
        log.debug(message);
      },
      warn: (message: string) => {
        log.warning(message);
      },
      error: (message: string) => {
        log.error(message);
      },
    };
    const { openFiles, environment } = own;
    return { ...place, cacheDirectory: CACHE, environment, log: messages, ...(openFiles && { openFiles }) };
  }
}
