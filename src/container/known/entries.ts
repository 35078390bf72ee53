import { planEntry, type EntryInput } from '../../plan/choose-exec.ts';
import { execDescriptors, type ExecPlan } from '../../plan/exec.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import type { Packet } from '../../program/step.ts';
import type { Config } from '../../spec/generated/config.ts';
import { PlanCache } from './cache.ts';
import {
  encodePhases,
  isSameFilter,
  isSmall,
  keyText,
  knownPhases,
  turn,
  withoutSteps,
  type Receiver,
} from './program.ts';

interface KeptEntry {
  /** All but the steps of its phases. */
  readonly plan: ExecPlan;
  readonly packets: readonly (readonly Packet[])[];
  readonly seccomp: CompiledSeccomp | undefined;
}

/** Plans of further processes, of which some come again and again: probes, and health checks. */
export class KnownEntries {
  readonly #cache = new PlanCache<KeptEntry>();

  /** As `planEntry`; `saved` is the configuration of the container as it was read. */
  readonly plan = (input: EntryInput, saved: Config): ExecPlan => {
    const key = keyOf(input);
    const kept = this.#cache.find(saved, key);
    if (kept !== undefined && isSameFilter(kept.seccomp, input.seccomp)) return fill(kept, input);
    const plan = planEntry(input);
    this.#cache.learn(saved, key, () => make(input, plan));
    return plan;
  };
}

/** Everything that a plan is made from, but what the container was created with, and the filter. */
function keyOf({ config, container, seccomp: _filter, ...input }: EntryInput): string {
  const { id, bundle, rootfs, isChrooted, cgroup } = container;
  return keyText([config.process, { id, bundle, rootfs, isChrooted, cgroup }, input]);
}

async function make(input: EntryInput, plan: ExecPlan): Promise<KeptEntry | undefined> {
  await turn();
  const packets = encodePhases(plan.phases, receiverOf(input));
  if (!isSmall(packets)) return undefined;
  return { plan: { ...plan, phases: withoutSteps(plan.phases) }, packets, seccomp: input.seccomp };
}

function receiverOf({ host, options }: EntryInput): Receiver {
  return { arch: host.arch, syncFd: execDescriptors(options.preserveFds).sync };
}

function fill({ plan, packets }: KeptEntry, input: EntryInput): ExecPlan {
  const phases = knownPhases(plan.phases, {
    receiver: receiverOf(input),
    packets: (index) => packets[index] ?? [],
    plan: () => planEntry(input).phases,
  });
  return { ...plan, phases };
}
