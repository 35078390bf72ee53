import { writablePlaces } from '../../host/cgroup-layout.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import { cgroupPlaces } from '../../plan/base/cgroup-layout.ts';
import { isRootless, planContainer } from '../../plan/choose-container.ts';
import type { CreatePlan } from '../../plan/create.ts';
import { isConnected } from '../../plan/network/choice.ts';
import { rewriteNetwork } from '../../plan/network/rewrite.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import { requirePassableFilter } from '../../plan/seccomp/refusals.ts';
import { withNotifyMount } from '../../plan/service-manager.ts';
import { nextTurn } from '../../process/turns.ts';
import { hostFactsOf } from '../caller/host.ts';
import type { Runtime } from '../caller/caller.ts';
import type { Foreground } from '../caller/foreground.ts';
import { notifyDirectory } from '../caller/notify-socket.ts';
import type { prepareNetwork } from '../network/prepare.ts';
import type { PreparedNetwork } from '../network/prepared.ts';
import { StateDirectory } from '../store/directory.ts';
import type { CreateOptions } from '../store/options.ts';
import { compileSeccomp } from './become-program.ts';
import { readBundle, type Bundle, type BundleSource } from './bundle.ts';
import { layersFor } from '../layers/place.ts';

/** What `create` and `run` ask for, and in which of their two ways init comes to its program: told by `start`, or at once. */
export interface BuildOptions extends CreateOptions {
  /** Init gets a socket on which it can wait for `start`. */
  readonly listens: boolean;
  /** Who waits for the program, and lends it descriptors. */
  readonly foreground?: Foreground;
}

/** What a container is going to be made from. */
export interface OpenedBundle {
  readonly directory: StateDirectory;
  readonly bundle: Bundle;
  /** In place of that of the config. */
  readonly network?: PreparedNetwork;
}

/** A container of which everything is decided, and nothing made. */
export interface PreparedContainer extends OpenedBundle {
  readonly options: BuildOptions;
  readonly host: HostFacts;
  /** The filter of the program, which is loaded last when its position is `late`. */
  readonly seccomp: CompiledSeccomp | undefined;
  readonly plan: CreatePlan;
}

/** What a bundle is read with. */
export type BundleOptions = BundleSource & Pick<CreateOptions, 'id' | 'network' | 'notifySocket'>;

/**
 * Reads the bundle, with the network that was chosen in place of its own, and with the directory of the notify socket among its mounts
 * where there will be one. Errors: `id`, `bundle`, `config`; with a network also `not-found`, `status`, `unsupported`, `host`.
 */
export async function openBundle(runtime: Runtime, options: BundleOptions): Promise<OpenedBundle> {
  runtime.tracer?.phase('read the bundle');
  const directory = new StateDirectory(runtime.root, options.id);
  const network = options.network === undefined ? undefined : await prepare(runtime, options.network, directory);
  const source = options.notifySocket === undefined ? undefined : notifyDirectory(directory);
  const bundle = readBundle(options, runtime, {
    ...(network !== undefined && { rewrite: (text) => rewriteNetwork(text, network.rewriting) }),
    ...(source !== undefined && { change: (config) => withNotifyMount(config, source) }),
  });
  const sources = {
    ...bundle.facts.sources,
    ...(source !== undefined && { [source]: 'directory' as const }),
    ...Object.fromEntries(Object.values(network?.files ?? {}).map((file) => [file, 'file' as const])),
  };
  return {
    directory,
    bundle: { ...bundle, facts: { ...bundle.facts, sources } },
    ...(network !== undefined && { network }),
  };
}

/** Loaded for the few that choose one. */
async function prepare(...args: Parameters<typeof prepareNetwork>): Promise<PreparedNetwork> {
  const { prepareNetwork: prepareChosen } = await import('../network/prepare.ts');
  return await prepareChosen(...args);
}

/** Decides everything. Errors: `bundle`, `config`, `unsupported`, `host`. Effects: may keep a compiled filter in the cache. */
export async function prepareContainer(
  runtime: Runtime,
  { directory, bundle, network }: OpenedBundle,
  options: BuildOptions,
): Promise<PreparedContainer> {
  await nextTurn();
  runtime.tracer?.phase('look at the host');
  const host = hostFactsOf(runtime.caller);
  await nextTurn();
  runtime.tracer?.phase('compile the seccomp filter');
  const seccomp = await compileSeccomp(bundle.config, bundle.config.process, host, { runtime, isCached: true });
  requirePassableFilter(seccomp, { waits: options.listens });
  runtime.tracer?.phase('plan');
  const lendsStdio = options.foreground !== undefined;
  // What is measured is measured step by step.
  const { planContainer: known } = runtime.tracer === undefined ? runtime.caller : {};
  const wanted = { ...options, waitsForStart: options.listens, lendsStdio };
  const plan = planFor(runtime, wanted, { bundle, host, seccomp }, known);
  for (const warning of plan.warnings) runtime.log.warning(warning);
  await nextTurn();
  return { directory, bundle, ...(network !== undefined && { network }), options, host, seccomp, plan };
}

/** What a plan is made from, beside the options. */
export type PlanMaterial = Pick<PreparedContainer, 'bundle' | 'host' | 'seccomp'>;

/** The plan of a container; also what `explain` shows. Errors: `bundle`, `config`, `unsupported`. */
export function planFor(
  runtime: Runtime,
  options: Pick<CreateOptions, 'id' | 'noPivot' | 'noNewKeyring' | 'preserved' | 'network'> & {
    readonly waitsForStart?: boolean;
    readonly lendsStdio?: boolean;
  },
  { bundle, host, seccomp }: PlanMaterial,
  plan = planContainer,
): CreatePlan {
  const { cgroupManager, caller } = runtime;
  const { id, noPivot, noNewKeyring, preserved, waitsForStart = false, lendsStdio = false } = options;
  const overlay = layersFor(runtime, id, { bundle, host });
  const rootless = isRootless(runtime.rootless, host);
  return plan({
    id,
    config: bundle.config,
    host,
    bundle: bundle.facts,
    options: {
      noPivot,
      noNewKeyring,
      preserveFds: preserved.length,
      lendsStdio,
      waitsForStart,
      isConnected: isConnected(options.network),
      ...(overlay && { overlay }),
      ...(caller.openFiles && { openFiles: caller.openFiles }),
    },
    ...(seccomp === undefined ? {} : { seccomp }),
    cgroupManager,
    rootless,
    writableCgroups: rootless ? writablePlaces(cgroupPlaces(host.cgroup)) : [],
  });
}
