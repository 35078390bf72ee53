import { block, call } from '../program/build.ts';
import type { Block, Step } from '../program/step.ts';
import { capabilityNumbers } from '../spec/capability-names.ts';
import type { Capabilities, Process } from '../spec/generated/config.ts';
import {
  LINUX_CAPABILITY_VERSION_3,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
} from '../util/constants.ts';
import { findNamespace, type PlanContext } from './context.ts';
import type { HostFacts } from './facts.ts';

/**
 * config.md, "Linux Process": `capabilities`; capabilities(7).
 *
 * The order among other steps: bounding set before the uid changes (dropping needs CAP_SETPCAP), the other sets after it,
 * ambient last (it needs permitted and inheritable). Without `capabilities` nothing is touched, as in runc.
 */

const POINTER = '/process/capabilities';
type SetName = keyof Capabilities;

/**
 * Drops every capability of this kernel that is not in the bounding set, a prctl(2) each.
 *
 * Names that are unknown or cannot be granted are left out of all sets, with a warning each: config.md wants those logged,
 * not refused.
 */
export function planBoundingSet(context: PlanContext, process: Process): Step[] {
  const { capabilities } = process;
  if (capabilities === undefined) return [];
  const kept = resolveSet(context, capabilities, 'bounding');
  const steps: Step[] = [];
  for (let number = 0; number <= context.host.kernel.lastCapability; number++) {
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

const CAP_SYS_ADMIN = 21;
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
  const { capabilities } = process;
  if (capabilities === undefined) return [];
  const sets = {
    effective: withSysAdmin(resolveSet(context, capabilities, 'effective'), sysAdmin === 'effective'),
    permitted: withSysAdmin(resolveSet(context, capabilities, 'permitted'), sysAdmin !== undefined),
    inheritable: resolveSet(context, capabilities, 'inheritable'),
  };
  return [
    call('capset', [capabilityHeader(), capabilityData(sets)], {
      label: sysAdmin === undefined ? SETTING : SETTING_WITH[sysAdmin],
      pointer: POINTER,
    }),
  ];
}

function withSysAdmin(set: ReadonlySet<number>, isIn: boolean): ReadonlySet<number> {
  return isIn ? new Set([...set, CAP_SYS_ADMIN]) : set;
}

/**
 * Empties the ambient set and raises what the config has in it.
 *
 * A capability that is not permitted and inheritable as well cannot be raised: the kernel answers EPERM, which is accepted,
 * as runc and crun do. EINVAL is a kernel without ambient capabilities.
 */
export function planAmbientSet(context: PlanContext, process: Process): Step[] {
  const { capabilities } = process;
  if (capabilities === undefined) return [];
  const pointer = `${POINTER}/ambient`;
  const clear = call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], {
    label: 'clear the ambient set',
    pointer,
    accept: ['EINVAL'],
  });
  const raise = [...resolveSet(context, capabilities, 'ambient')].map((number) =>
    call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], {
      label: `raise ${nameOf(number)} in the ambient set`,
      pointer,
      accept: ['EINVAL', 'EPERM'],
    }),
  );
  return [clear, ...raise];
}

/** The capability numbers of a set, ascending; what cannot be granted is warned about, once for all sets. */
function resolveSet(context: PlanContext, capabilities: Capabilities, set: SetName): ReadonlySet<number> {
  const numbers: number[] = [];
  for (const name of capabilities[set] ?? []) {
    const number = capabilityNumbers.get(name);
    const problem = problemOf(context, number);
    if (number !== undefined && problem === undefined) numbers.push(number);
    else warnOnce(context, `capability ${JSON.stringify(name)} is left out: ${problem}`);
  }
  return new Set(numbers.sort((a, b) => a - b));
}

function problemOf({ config, host }: PlanContext, number: number | undefined): string | undefined {
  if (number === undefined) return 'its name is unknown';
  if (number > host.kernel.lastCapability) return 'this kernel does not have it';
  // Whoever enters a user namespace has every capability in it.
  if (findNamespace(config, 'user') !== undefined) return undefined;
  return holdsCapability(host, number) ? undefined : 'the runtime does not have it itself';
}

/** Whether tsrun itself has a capability in the user namespace it runs in. */
export function holdsCapability({ identity }: HostFacts, number: number): boolean {
  return ((BigInt(`0x${identity.effectiveCapabilities}`) >> BigInt(number)) & 1n) === 1n;
}

function warnOnce({ warnings }: PlanContext, warning: string): void {
  if (!warnings.includes(warning)) warnings.push(warning);
}

const NAMES: ReadonlyMap<number, string> = new Map([...capabilityNumbers].map(([name, number]) => [number, name]));

/** Kernels may have capabilities that are newer than the table. */
function nameOf(number: number): string {
  return NAMES.get(number) ?? `capability ${number}`;
}

/** struct __user_cap_header_struct: u32 version, i32 pid (0 is the caller). Source: man 2 capset. */
function capabilityHeader(): Block {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, LINUX_CAPABILITY_VERSION_3, true);
  return block(bytes, '{version=3, pid=0}');
}

interface ThreadSets {
  readonly effective: ReadonlySet<number>;
  readonly permitted: ReadonlySet<number>;
  readonly inheritable: ReadonlySet<number>;
}

/** struct __user_cap_data_struct[2]: u32 effective, permitted, inheritable; first the capabilities below 32. */
function capabilityData({ effective, permitted, inheritable }: ThreadSets): Block {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  const masks = [effective, permitted, inheritable].map(maskOf);
  masks.forEach((mask, index) => {
    view.setUint32(index * 4, Number(mask & 0xffff_ffffn), true);
    view.setUint32(12 + index * 4, Number(mask >> 32n), true);
  });
  const [e, p, i] = masks.map((mask) => `0x${mask.toString(16)}`);
  return block(bytes, `{effective=${e}, permitted=${p}, inheritable=${i}}`);
}

function maskOf(numbers: ReadonlySet<number>): bigint {
  return [...numbers].reduce((mask, number) => mask | (1n << BigInt(number)), 0n);
}
