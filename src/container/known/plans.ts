import { planContainer, planNamed, type ContainerInput } from '../../plan/choose-container.ts';
import type { CreatePlan } from '../../plan/create.ts';
import { descriptorNumbers } from '../../plan/base/context.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import { NameTemplate } from '../../program/name-template.ts';
import type { Packet } from '../../program/step.ts';
import { PlanCache } from './cache.ts';
import {
  encodePhases,
  isEqual,
  isSameFilter,
  isSmall,
  keyText,
  knownPhases,
  turn,
  withoutSteps,
  type Receiver,
} from './program.ts';

/** Of the packets of one plan, bytes: what is larger is planned each time. */
const SIZE_MAX = 256 * 1024;

/** A plan without the id of its container. */
interface KeptPlan {
  /** All but the steps of its phases. */
  readonly plan: CreatePlan;
  readonly templates: readonly NameTemplate[];
  readonly seccomp: CompiledSeccomp | undefined;
}

/**
 * Plans of configurations that come again and again, each time for another id, in a process that stays. What has everything but the
 * id in common with an earlier plan gets the bytes of that one, with its own id in them; its steps are planned when somebody looks,
 * to explain a failure.
 */
export class KnownPlans {
  readonly #cache = new PlanCache<KeptPlan>();

  /** As `planContainer`. */
  readonly plan = (input: ContainerInput): CreatePlan => {
    const key = keyOf(input);
    if (key === undefined) return planContainer(input);
    const kept = this.#cache.find(input.config, key);
    if (kept !== undefined && isSameFilter(kept.seccomp, input.seccomp)) return fill(kept, input);
    const plan = planContainer(input);
    this.#cache.learn(input.config, key, () => make(input, plan));
    return plan;
  };
}

/** Everything that a plan is made from, but the configuration, the filter and the letters of the id. Undefined where it is made each time. */
function keyOf({ id, config, seccomp: _filter, ...input }: ContainerInput): string | undefined {
  // Their programs are planned later, in memory that the plan gave out.
  return config.hooks === undefined ? keyText([id.length, input]) : undefined;
}

/**
 * Undefined for a plan that has more than the id of its own: units of systemd, whose names are escaped, and handles for others, for which
 * it gives out memory later.
 */
async function make(input: ContainerInput, plan: CreatePlan): Promise<KeptPlan | undefined> {
  if (plan.cgroup.scope !== undefined || plan.handsOut) return undefined;
  const receiver = receiverOf(input);
  await turn();
  const own = encodePhases(plan.phases, receiver);
  const [first, second] = ['a', 'b'].map((letter) => nameUnlike(input.id, letter)) as [string, string];
  await turn();
  const other = planContainer({ ...input, id: first });
  await turn();
  const others = encodePhases(other.phases, receiver);
  await turn();
  const proof = planContainer({ ...input, id: second });
  await turn();
  const proofs = encodePhases(proof.phases, receiver);
  if (!isSmall(own, SIZE_MAX) || !isAlike(plan, other)) return undefined;
  const templates: NameTemplate[] = [];
  for (const [index, packets] of own.entries()) {
    const found = NameTemplate.between({ name: input.id, packets }, { name: first, packets: others[index] ?? [] });
    // It has to say of an id that it was not made from what planning says of that.
    if (found === undefined || !hasSameBytes(found.fill(second), proofs[index] ?? [])) return undefined;
    templates.push(found);
  }
  return { plan: { ...other, phases: withoutSteps(other.phases) }, templates, seccomp: input.seccomp };
}

function receiverOf({ host, options }: ContainerInput): Receiver {
  return { arch: host.arch, syncFd: descriptorNumbers(options.preserveFds).sync };
}

/** An id of the same length that has no letter in common with another at the same place. */
function nameUnlike(id: string, letter: string): string {
  return Array.from(id, (each) => (each === letter ? 'c' : letter)).join('');
}

/** Whether two plans say the same beside their programs. */
function isAlike(one: CreatePlan, other: CreatePlan): boolean {
  const outside = ({ phases, warnings, candidates, rlimits }: CreatePlan): string =>
    keyText([phases.map(({ exchange, program }) => [exchange, program.name]), warnings, candidates, rlimits]);
  return outside(one) === outside(other);
}

function hasSameBytes(some: readonly Packet[], others: readonly Packet[]): boolean {
  return some.length === others.length && some.every(({ bytes }, index) => isEqual(bytes, others[index]?.bytes));
}

function fill({ plan, templates }: KeptPlan, input: ContainerInput): CreatePlan {
  const phases = knownPhases(plan.phases, {
    receiver: receiverOf(input),
    packets: (index) => templates[index]?.fill(input.id) ?? [],
    plan: () => planContainer(input).phases,
  });
  return { ...plan, ...planNamed(input), phases };
}
