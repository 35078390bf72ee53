import { readFileSync, readlinkSync } from 'node:fs';
import type { KnownEntries } from '../container/known/entries.ts';
import type { KnownPlans } from '../container/known/plans.ts';
import { runtimeFor, type Caller, type Runtime } from '../container/caller/caller.ts';
import { findObstacle } from '../plan/obstacles.ts';
import { busAddresses } from '../plan/cgroup/systemd/bus-addresses.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import type { HostView } from '../host/host-view.ts';
import { readBounded } from '../container/store/read-bounded.ts';
import { INIT_IMAGE_NAME } from '../process/init-name.ts';
import { ConnectedInit } from '../process/connected.ts';
import type { Partner } from '../process/partner.ts';
import { openImage, type SpawnInitOptions } from '../process/spawned.ts';
import { isInitialIdMap, type Surroundings } from '../cli/surroundings.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { socketPair } from '../sys/socket.ts';
import type { Hello } from '../util/hello.ts';
import type { KnownConfigs } from '../spec/known-configs.ts';
import type { Launcher } from './launcher.ts';
import { LauncherForeground } from './launcher-foreground.ts';
import { CONFIG_LIMIT_BYTES, type Paths } from './paths.ts';
import type { Peer } from './peer.ts';
import { GoCold } from './reasons.ts';

/** A command that is carried out for a caller: who that is, and what is made for it. */
export interface SessionParts {
  readonly launcher: Launcher;
  readonly peer: Peer;
  readonly hello: Hello;
  /** The working directory of the caller. */
  readonly directory: OwnedFd;
  readonly paths: Paths;
  readonly host: HostView;
  readonly configs: KnownConfigs;
  readonly plans: KnownPlans;
  readonly entries: KnownEntries;
  /** From here on the command cannot be left to the caller's engine. */
  readonly onEffect: () => void;
  readonly writeStdout: (text: string) => boolean;
  /** Nothing has been said so far, and nothing has been kept back. */
  readonly isSilent: () => boolean;
}

/** The launcher of a command, as the operations see it. */
export class Session {
  readonly #parts: SessionParts;
  #init: ConnectedInit | undefined;
  #last: number | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  get launcher(): Launcher {
    return this.#parts.launcher;
  }

  /** Its child that has cloned init, and is about to end. */
  get lastChild(): number | undefined {
    return this.#last;
  }

  /** What a command takes from its surroundings. */
  surroundings(): Surroundings {
    const { hello, peer, paths, directory, writeStdout } = this.#parts;
    const { pid } = peer.identity;
    return {
      environment: hello.environment,
      pid,
      uid: peer.standing.uid,
      gid: peer.standing.gid,
      inUserNamespace: () => !isInitialIdMap(readFileSync(`${peer.proc}/uid_map`, 'latin1')),
      currentDirectory: () => directoryOf(directory),
      // The launcher has changed nothing.
      openFiles: () => undefined,
      leaving: {},
      readFile: (path) => {
        paths.require(path, { limitBytes: CONFIG_LIMIT_BYTES });
        return readBounded(path, { limitBytes: CONFIG_LIMIT_BYTES, plain: false, code: 'config' }).toString('utf8');
      },
      readStdin: () => {
        throw new GoCold('stdin');
      },
      writeStdout,
    };
  }

  /** What an operation works with. */
  runtime(options: RuntimeOptions, { subreaper = false }: { readonly subreaper?: boolean } = {}): Runtime {
    return runtimeFor(this.#caller({ subreaper }), options);
  }

  [Symbol.dispose](): void {
    this.#init?.close();
  }

  #caller({ subreaper }: { readonly subreaper: boolean }): Caller {
    const { peer, hello, launcher, paths, host, configs, plans, entries, isSilent } = this.#parts;
    const { uid, gid, capabilities } = peer.standing;
    const effectiveCapabilities = capabilities[0].toString(16).padStart(16, '0');
    const program = { subreaper, pid: () => this.#init?.pid ?? 0 };
    return {
      identity: peer.identity,
      proc: peer.proc,
      umask: peer.standing.umask,
      environment: hello.environment,
      buses: busAddresses(hello.environment),
      openFiles: undefined,
      host: {
        mounts: () => host.mounts(),
        facts: () => host.factsFor(peer.proc, { euid: uid, egid: gid, effectiveCapabilities }),
      },
      loadConfig: configs.load,
      planContainer: plans.plan,
      planEntry: entries.plan,
      spawnInit: (options) => this.#spawn(options),
      tellInit: ({ directory, socketName, token: shown }, packet) => {
        const token = shown === undefined ? undefined : Buffer.from(shown, 'hex');
        return launcher.tell({ socketName, token, packet, isLast: isSilent() }, directory);
      },
      foreground: (options) => new LauncherForeground(launcher, program, options),
      review: (config, operation, rootfs) => {
        const obstacle = findObstacle(config, operation, { euid: uid, egid: gid });
        if (obstacle !== undefined) throw new GoCold(obstacle);
        if (rootfs !== undefined) paths.requireSources(config, rootfs);
      },
      refuseHelpers: () => {
        throw new GoCold('network');
      },
    };
  }

  async #spawn(options: SpawnInitOptions): Promise<Partner> {
    const { launcher, onEffect } = this.#parts;
    onEffect();
    const [ours, theirs] = socketPair('seqpacket');
    try {
      using image = openImage(options);
      using sync = theirs;
      const passed = [...(options.descriptors ?? [])];
      const targets = [...passed.map(([target]) => target), options.syncFd];
      const descriptors = [image.number, ...passed.map(([, number]) => number), sync.number];
      const pid = await launcher.spawn(
        { name: INIT_IMAGE_NAME, targets, kept: [...options.callers.keys()] },
        descriptors,
      );
      const reapLater = (child: number): void => {
        this.#last = child;
      };
      this.#init = new ConnectedInit(pid, {
        socket: ours,
        parent: { reap: (child) => launcher.reap(child), reapLater },
      });
      return this.#init;
    } catch (error) {
      ours.close();
      throw error;
    }
  }
}

/** Throws ENOENT for one that was deleted. */
function directoryOf(directory: OwnedFd): string {
  const path = readlinkSync(descriptorPath(directory.number));
  if (path.includes('\uFFFD')) throw new GoCold('command-line');
  if (path.startsWith('/') && !path.endsWith(' (deleted)')) return path;
  throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
}
