import { planEntry, type EntryInput } from '../../plan/choose-exec.ts';
import type { ExecPlan } from '../../plan/exec.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import type { Config, Process } from '../../spec/generated/config.ts';
import { KeptLately } from './kept-lately.ts';
import { encodePhases, isSameFilter, isSmall, keyText, knownPhases } from './program.ts';

/** Of one container: users, options and programs. */
const MOST = 4;
/** Of the packets of one plan, bytes: what is larger is planned each time. */
const SIZE_MAX = 64 * 1024;

interface KeptEntry {
  readonly plan: ExecPlan;
  readonly seccomp: CompiledSeccomp | undefined;
}

/**
 * Plans of further processes of containers, in a process that stays: one that has everything in common with an earlier one but arguments
 * and variables that no plan looks at gets the bytes of that one. Its steps are planned when somebody looks, to explain a failure.
 *
 * What is kept goes with the configuration of the container (`KnownConfigs`).
 */
export class KnownEntries {
  readonly #known = new WeakMap<Config, KeptLately<KeptEntry>>();

  /** As `planEntry`; `saved` is the configuration of the container as it was read. */
  readonly plan = (input: EntryInput, saved: Config): ExecPlan => {
    // What is not in the key no plan sees.
    const process = plannedPart(input.config.process);
    const seen = { ...input, config: { ...input.config, ...(process && { process }) } };
    const entries = this.#known.get(saved) ?? new KeptLately<KeptEntry>(MOST);
    this.#known.set(saved, entries);
    const key = keyOf(seen);
    const known = entries.get(key);
    if (known !== undefined && isSameFilter(known.seccomp, input.seccomp)) return known.plan;
    const plan = planEntry(seen);
    const receiver = { arch: input.host.arch, syncFd: plan.descriptors.sync };
    const packets = encodePhases(plan.phases, receiver);
    const phases = knownPhases(plan.phases, {
      receiver,
      packets: (index) => packets[index] ?? [],
      plan: () => planEntry(seen).phases,
    });
    const encoded = { ...plan, phases };
    if (isSmall(packets, SIZE_MAX)) entries.set(key, { plan: encoded, seccomp: input.seccomp });
    return encoded;
  };
}

/** A process without what is only passed on to the program: all arguments but its name, and variables that are not looked up. */
function plannedPart(process: Process | undefined): Process | undefined {
  if (process === undefined) return undefined;
  const { args, env, ...others } = process;
  return {
    ...others,
    ...(args && { args: args.slice(0, 1) }),
    ...(env && { env: env.filter((entry) => /^(?:PATH|HOME)=/.test(entry)) }),
  };
}

/** Everything that a plan is made from, but what the container was created with beside its process, and the filter. */
function keyOf({ config, container, seccomp, ...input }: EntryInput): string {
  const { id, bundle, rootfs, isChrooted, cgroup } = container;
  return keyText([config.process, { id, bundle, rootfs, isChrooted, cgroup }, seccomp?.position, input]);
}
