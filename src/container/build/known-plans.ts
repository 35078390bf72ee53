import { planContainer, planNamed, type ContainerInput } from '../../plan/choose-container.ts';
import type { CreatePlan } from '../../plan/create.ts';
import { descriptorNumbers } from '../../plan/base/context.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import { encode } from '../../program/encode.ts';
import { NameTemplate } from '../../program/name-template.ts';
import type { EncodedProgram, Packet, Program, ReplyForm, Step } from '../../program/step.ts';
import type { Config } from '../../spec/generated/config.ts';
import { inTurn } from '../../sys/events/turn-queue.ts';

/** Of one configuration: hosts, options and lengths of ids that it is used with. */
const MOST = 8;
/** Of the packets of one plan, bytes: what is larger is planned each time. */
const SIZE_MAX = 256 * 1024;

/** What was seen of a way to plan: only once, or what is kept of it; nothing where two ids differ in more than the id. */
type Known = { readonly state: 'seen' | 'being-made' | 'unfit' } | KeptPlan;

interface KeptPlan {
  readonly state: 'kept';
  /** All but the programs of its phases. */
  readonly plan: CreatePlan;
  readonly templates: readonly NameTemplate[];
  readonly seccomp: CompiledSeccomp | undefined;
}

/**
 * Plans of configurations that come again and again, each time for another id, in a process that stays. What has everything but the
 * id in common with an earlier plan gets the bytes of that one, with its own id in them; its steps are planned when somebody looks,
 * to explain a failure.
 *
 * What is kept goes with the configuration: a process that reads the same text twice has to keep what it says (`KnownConfigs`).
 */
export class KnownPlans {
  readonly #known = new WeakMap<Config, Map<string, Known>>();

  /** As `planContainer`. */
  readonly plan = (input: ContainerInput): CreatePlan => {
    const key = keyOf(input);
    if (key === undefined) return planContainer(input);
    const plans = this.#plansOf(input.config);
    const known = plans.get(key);
    if (known?.state === 'kept' && isSameFilter(known.seccomp, input.seccomp)) return fill(known, input);
    const plan = planContainer(input);
    if (known === undefined) {
      remember(plans, key, { state: 'seen' });
    } else if (known.state === 'seen') {
      remember(plans, key, { state: 'being-made' });
      void this.#make(plans, key, () => make(input, plan));
    }
    return plan;
  };

  async #make(plans: Map<string, Known>, key: string, of: () => Promise<KeptPlan | undefined>): Promise<void> {
    try {
      remember(plans, key, (await of()) ?? { state: 'unfit' });
    } catch {
      // Somebody's plan has failed for an id that nobody has: each is planned by itself, and says what is wrong.
      remember(plans, key, { state: 'unfit' });
    }
  }

  #plansOf(config: Config): Map<string, Known> {
    const plans = this.#known.get(config) ?? new Map<string, Known>();
    this.#known.set(config, plans);
    return plans;
  }
}

function remember(plans: Map<string, Known>, key: string, known: Known): void {
  plans.delete(key);
  plans.set(key, known);
  for (const oldest of plans.keys()) {
    if (plans.size <= MOST) break;
    plans.delete(oldest);
  }
}

/** Everything that a plan is made from, but the configuration and the letters of the id. Undefined where it is made each time. */
function keyOf({ id, config, seccomp, ...input }: ContainerInput): string | undefined {
  // Their programs are planned later, in memory that the plan gave out.
  if (config.hooks !== undefined) return undefined;
  return JSON.stringify([id.length, seccomp?.position, input], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
}

function isSameFilter(one: CompiledSeccomp | undefined, other: CompiledSeccomp | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return isEqual(one.program, other.program);
}

/**
 * The plan without its id. Undefined for one that has more than that of its own: units of systemd, whose names are escaped, and handles
 * for others, for which it gives out memory later.
 */
async function make(input: ContainerInput, plan: CreatePlan): Promise<KeptPlan | undefined> {
  if (plan.cgroup.scope !== undefined || plan.handsOut) return undefined;
  const turn = (): Promise<void> => new Promise(inTurn);
  await turn();
  const own = encodePhases(input, plan);
  const [first, second] = ['a', 'b'].map((letter) => nameUnlike(input.id, letter)) as [string, string];
  await turn();
  const other = planContainer({ ...input, id: first });
  await turn();
  const otherPackets = encodePhases(input, other);
  await turn();
  const proof = planContainer({ ...input, id: second });
  await turn();
  const proofPackets = encodePhases(input, proof);
  if (!isAlike(plan, other)) return undefined;
  const templates: NameTemplate[] = [];
  for (const [index, packets] of own.entries()) {
    const found = NameTemplate.between(
      { name: input.id, packets },
      { name: first, packets: otherPackets[index] ?? [] },
    );
    // It has to say of an id that it was not made from what planning says of that.
    if (found === undefined || !hasSameBytes(found.fill(second), proofPackets[index] ?? [])) return undefined;
    templates.push(found);
  }
  if (templates.reduce((sum, { size }) => sum + size, 0) > SIZE_MAX) return undefined;
  // Those of the plan would keep all its steps in memory.
  const phases = other.phases.map(({ program, exchange }) => ({ exchange, program: withoutSteps(program) }));
  return { state: 'kept', plan: { ...other, phases }, templates, seccomp: input.seccomp };
}

function encodePhases({ host, options }: ContainerInput, { phases }: CreatePlan): Packet[][] {
  const { sync } = descriptorNumbers(options.preserveFds);
  return phases.map(({ program }) => encode(program, { arch: host.arch, syncFd: sync }));
}

/** An id of the same length that has no letter in common with another at the same place. */
function nameUnlike(id: string, letter: string): string {
  return Array.from(id, (each) => (each === letter ? 'c' : letter)).join('');
}

/** Whether two plans say the same beside their programs. */
function isAlike(one: CreatePlan, other: CreatePlan): boolean {
  const outside = ({ phases, warnings, candidates, rlimits }: CreatePlan): unknown => ({
    phases: phases.map(({ exchange, program }) => [exchange, program.name]),
    ...{ warnings, candidates, rlimits: rlimits.map(({ soft, hard }) => [`${soft}`, `${hard}`]) },
  });
  return JSON.stringify(outside(one)) === JSON.stringify(outside(other));
}

function hasSameBytes(some: readonly Packet[], others: readonly Packet[]): boolean {
  return some.length === others.length && some.every(({ bytes }, index) => isEqual(bytes, others[index]?.bytes));
}

function isEqual(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(one, other) === 0;
}

function withoutSteps({ name, replies, reply }: Program): Program {
  return { name, replies, steps: [], ...(reply !== undefined && { reply }) };
}

/** What was kept, for an id. */
function fill({ plan, templates }: KeptPlan, input: ContainerInput): CreatePlan {
  const { arch } = input.host;
  const { sync } = descriptorNumbers(input.options.preserveFds);
  let planned: CreatePlan | undefined;
  const phases = plan.phases.map(({ program, exchange }, index) => {
    const encoded = { arch, syncFd: sync, packets: templates[index]?.fill(input.id) ?? [] };
    const steps = (): readonly Step[] => (planned ??= planContainer(input)).phases[index]?.program.steps ?? [];
    return { exchange, program: new KnownProgram(program, encoded, steps) };
  });
  return { ...plan, ...planNamed(input), phases };
}

/** A program whose bytes are known, and its steps planned when somebody looks. */
class KnownProgram implements Program {
  readonly name: string;
  readonly replies: boolean;
  readonly reply?: ReplyForm;
  readonly encoded: EncodedProgram;
  readonly #plan: () => readonly Step[];

  constructor({ name, replies, reply }: Program, encoded: EncodedProgram, plan: () => readonly Step[]) {
    this.name = name;
    this.replies = replies;
    if (reply !== undefined) this.reply = reply;
    this.encoded = encoded;
    this.#plan = plan;
  }

  get steps(): readonly Step[] {
    return this.#plan();
  }
}
