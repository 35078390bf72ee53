import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { capabilityNumbers } from '../../util/capability-names.ts';
import type { Capabilities, Process } from '../../spec/generated/config.ts';
import {
  CAP_SYS_ADMIN,
  PR_CAPBSET_DROP,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
} from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { holdsCapability } from '../base/facts.ts';
import { capData, capHeader, type CapSets } from '../../program/structs.ts';

/**
 * config.md, "Linux Process": `capabilities`; capabilities(7).
 *
 * The order among other steps: bounding set before the uid changes (dropping needs CAP_SETPCAP), the other sets after it,
 * ambient last (it needs permitted and inheritable). Without `capabilities` there are none: a config that forgets them must not make
 * its program as mighty as the runtime.
 */

const POINTER = '/process/capabilities';

/** Numbers of capabilities, ascending. */
export type CapabilitySet = ReadonlySet<number>;
/** What the kernel is going to be asked for. */
export type CapabilitySets = Readonly<Record<keyof Capabilities, CapabilitySet>>;

/** Drops every capability of this kernel that is not in the bounding set, a prctl(2) each. */
export function planBoundingSet(context: PlanContext, process: Process): Step[] {
  const { bounding } = resolveCapabilities(context, process);
  return dropFromBoundingSet(context, bounding);
}

function dropFromBoundingSet({ host }: PlanContext, kept: CapabilitySet): Step[] {
  const steps: Step[] = [];
  for (let number = 0; number <= host.kernel.lastCapability; number++) {
    if (kept.has(number)) continue;
    steps.push(
      call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], {
        label: `drop ${nameOf(number)} from the bounding set`,
        pointer: `${POINTER}/bounding`,
      }),
    );
  }
  return steps;
}

const SETTING = 'set effective, permitted and inheritable capabilities';
/** What a change of the sets is called that leaves CAP_SYS_ADMIN in the permitted one, or raises it. */
const SETTING_WITH = {
  permitted: `${SETTING}, and keep CAP_SYS_ADMIN for the seccomp filter`,
  effective: 'raise CAP_SYS_ADMIN for the seccomp filter',
};

/**
 * Sets the effective, permitted and inheritable set with one capset(2). A set that is not given is empty.
 *
 * `sysAdmin`: for the time until a seccomp filter is loaded CAP_SYS_ADMIN stays permitted, or is effective too.
 */
export function planCapabilitySets(
  context: PlanContext,
  process: Process,
  sysAdmin?: 'permitted' | 'effective',
): Step[] {
  const { effective, permitted, inheritable } = resolveCapabilities(context, process);
  const sets = {
    effective: withSysAdmin(effective, sysAdmin === 'effective'),
    permitted: withSysAdmin(permitted, sysAdmin !== undefined),
    inheritable,
  };
  return [setCapabilities(sets, sysAdmin === undefined ? SETTING : SETTING_WITH[sysAdmin])];
}

function withSysAdmin(set: CapabilitySet, isIn: boolean): CapabilitySet {
  return isIn ? new Set([...set, CAP_SYS_ADMIN]) : set;
}

/**
 * Before a process becomes visible to others in a container: it keeps what its program will have and what the rest of its way needs.
 *
 * Whoever has CAP_SYS_PTRACE there can take it over from its birth on, dumpable or not, and does not gain more than this. The
 * inheritable set is final already: it could not grow later without CAP_SETPCAP.
 */
export function planEnteringSets(context: PlanContext, process: Process, needed: readonly string[]): Step[] {
  const { permitted, effective, inheritable } = resolveCapabilities(context, process);
  const extra = heldOf(context, needed);
  const label = 'keep the capabilities of the program' + (needed.length === 0 ? '' : ` and ${needed.join(', ')}`);
  const sets = { permitted: union(permitted, extra), effective: union(effective, extra), inheritable };
  return [setCapabilities(sets, label)];
}

/** What making a container takes behind the birth of its process: mounts, devices, names, networks, ids, limits. */
const FOR_CREATE = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_SETGID', 'CAP_SETUID'],
  ...[
    'CAP_SETPCAP',
    'CAP_NET_ADMIN',
    'CAP_SYS_CHROOT',
    'CAP_SYS_ADMIN',
    'CAP_SYS_NICE',
    'CAP_SYS_RESOURCE',
    'CAP_MKNOD',
  ],
];

/** The same for a container that is made in a pid namespace where others are. Its createContainer hooks need the bounding set. */
export function planShedForCreate(context: PlanContext, process: Process = { cwd: '/' }): Step[] {
  const { bounding } = resolveCapabilities(context, process);
  const hasHooks = (context.config.hooks?.createContainer ?? []).length > 0;
  const kept = hasHooks ? union(bounding, heldOf(context, FOR_CREATE)) : bounding;
  const sets = planEnteringSets(context, process, FOR_CREATE);
  return [...dropFromBoundingSet(context, kept), ...sets.map((step) => ({ ...step, label: 'keep what create needs' }))];
}

function heldOf(context: PlanContext, names: readonly string[]): CapabilitySet {
  const numbers = names.flatMap((name) => capabilityNumbers.get(name) ?? []);
  return new Set(numbers.filter((number) => problemOf(context, number) === undefined));
}

function union(first: CapabilitySet, second: CapabilitySet): CapabilitySet {
  return new Set([...first, ...second]);
}

function setCapabilities(sets: CapSets, label: string): Step {
  return call('capset', [capHeader(), capData(sets)], { label, pointer: POINTER });
}

/** Empties the ambient set and raises what the config has in it. EINVAL is a kernel without ambient capabilities. */
export function planAmbientSet(context: PlanContext, process: Process): Step[] {
  const { ambient } = resolveCapabilities(context, process);
  const pointer = `${POINTER}/ambient`;
  const clear = call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], {
    label: 'clear the ambient set',
    pointer,
    accept: ['EINVAL'],
  });
  const raise = [...ambient].map((number) =>
    call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], {
      label: `raise ${nameOf(number)} in the ambient set`,
      pointer,
      // EPERM: a securebit of the caller forbids it.
      accept: ['EINVAL', 'EPERM'],
    }),
  );
  return [clear, ...raise];
}

/**
 * The sets of a process. What is unknown or cannot be granted is left out, with one warning for all sets; and so is what the kernel
 * refuses because another set lacks it: config.md wants those logged, not refused.
 */
export function resolveCapabilities(context: PlanContext, { capabilities = {} }: Process): CapabilitySets {
  const of = (set: keyof Capabilities): CapabilitySet => resolveSet(context, capabilities, set);
  const bounding = of('bounding');
  const permitted = of('permitted');
  const effective = within(context, of('effective'), permitted, 'effective set', 'in the permitted one');
  const inheritable = within(context, of('inheritable'), bounding, 'inheritable set', 'in the bounding one');
  const both = new Set([...permitted].filter((number) => inheritable.has(number)));
  const ambient = within(context, of('ambient'), both, 'ambient set', 'both permitted and inheritable');
  return { bounding, permitted, effective, inheritable, ambient };
}

function resolveSet(context: PlanContext, capabilities: Capabilities, set: keyof Capabilities): CapabilitySet {
  const numbers: number[] = [];
  for (const name of capabilities[set] ?? []) {
    const number = capabilityNumbers.get(name);
    const problem = problemOf(context, number);
    if (number !== undefined && problem === undefined) numbers.push(number);
    else warnOnce(context, `capability ${JSON.stringify(name)} is left out: ${problem}`);
  }
  return new Set(numbers.sort((a, b) => a - b));
}

function within(
  context: PlanContext,
  wanted: CapabilitySet,
  allowed: CapabilitySet,
  ...[set, condition]: readonly [set: string, condition: string]
): CapabilitySet {
  const missing = [...wanted].filter((number) => !allowed.has(number)).map((number) => `"${nameOf(number)}"`);
  // One line for all: engines ask for the same dozen each time.
  if (missing.length === 1)
    warnOnce(context, `capability ${missing[0] ?? ''} is left out of the ${set}: it is not ${condition}`);
  if (missing.length > 1)
    warnOnce(context, `capabilities ${missing.join(', ')} are left out of the ${set}: they are not ${condition}`);
  return new Set([...wanted].filter((number) => allowed.has(number)));
}

function problemOf({ config, host }: PlanContext, number: number | undefined): string | undefined {
  if (number === undefined) return 'its name is unknown';
  if (number > host.kernel.lastCapability) return 'this kernel does not have it';
  // Whoever enters a user namespace has every capability in it.
  if (findNamespace(config, 'user') !== undefined) return undefined;
  return holdsCapability(host, number) ? undefined : 'the runtime does not have it itself';
}

function warnOnce({ warnings }: PlanContext, warning: string): void {
  if (!warnings.includes(warning)) warnings.push(warning);
}

const NAMES: ReadonlyMap<number, string> = new Map([...capabilityNumbers].map(([name, number]) => [number, name]));

/** Kernels may have capabilities that are newer than the table. */
function nameOf(number: number): string {
  return NAMES.get(number) ?? `capability ${number}`;
}
