import { HostView } from '../../host/host-view.ts';
import { Runtime, type RuntimeOptions } from '../../library/runtime.ts';
import type { Log } from '../../log.ts';
import { catchSignals } from '../../sys/events/signals.ts';
import { SIGNALS } from '../../util/signals.ts';
import type { BundleRecord } from '../task/bundle-record.ts';
import { HeldContainers } from '../task/containers.ts';
import { Publisher } from '../task/publisher.ts';
import { Reaper } from '../task/reaper.ts';
import { TaskService } from '../task/service.ts';
import { Server, type Services } from '../ttrpc/server.ts';
import type { ShimFlags } from './flags.ts';
import type { ShimProcess } from './shim-process.ts';
import type { Listener } from './socket.ts';

const CACHE = '/run/tsrun-cache';
const FLUSH_MS = 5_000;

/** What a process needs to hold containers. */
export interface HoldingOptions {
  readonly flags: ShimFlags;
  readonly own: ShimProcess;
  readonly log: Log;
  /** As with `HeldContainers`. */
  readonly shutDown?: () => Promise<void>;
  /** What else is served. */
  readonly others?: Services;
  readonly connectionsMax?: number;
}

/** A process that holds containers, and serves containerd's calls. */
export class Holding {
  readonly containers: HeldContainers;
  readonly #publisher: Publisher;
  readonly #server: Server;
  readonly #log: Log;
  readonly #stopping = new AbortController();

  constructor({ flags, own, log, shutDown, others, connectionsMax }: HoldingOptions) {
    const { namespace } = flags;
    const runtimes = new Runtimes({ log, own });
    const runtimeAt = (place: BundleRecord): Runtime => runtimes.at(place);
    this.#log = log;
    this.#publisher = new Publisher({ address: eventAddress(flags, own.environment), namespace, log });
    const setting = { namespace, publisher: this.#publisher, reaper: new Reaper(), log, runtimeAt };
    this.containers = new HeldContainers(setting, shutDown);
    const tasks = new TaskService(this.containers, setting);
    const services = new Map([...tasks.services(), ...(others ?? [])]);
    this.#server = new Server(services, log, { ...(connectionsMax !== undefined && { connectionsMax }) });
  }

  /** Aborted when it is to end. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  readonly stop = (): void => {
    this.#stopping.abort();
  };

  /** Serves until it is stopped; `ready` is called when nothing ends it unawares any more. Errors: `host`. */
  async serve(listener: Listener, ready: () => void): Promise<void> {
    keepGoing(this.#log);
    using _signals = catchSignals([SIGNALS.TERM, SIGNALS.INT], this.stop);
    ready();
    await this.#server.serve(listener.fd, this.stopping);
    await listener.remove();
    await this.#publisher.flush(FLUSH_MS);
    this.#server.close();
  }
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
  readonly #host = new HostView('/proc/self');

  constructor(parts: { readonly log: Log; readonly own: ShimProcess }) {
    this.#parts = parts;
  }

  at({ root, cgroupManager }: BundleRecord): Runtime {
    const key = `${cgroupManager} ${root}`;
    const made = this.#made.get(key) ?? new Runtime(this.#options({ root, cgroupManager }), this.#host);
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
