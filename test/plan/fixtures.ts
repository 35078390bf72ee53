import {
  allocateSharedSlots,
  descriptorNumbers,
  type PlanContext,
  type PlanOptions,
} from '../../src/plan/base/context.ts';
import type { BundleFacts, HostFacts } from '../../src/plan/base/facts.ts';
import { printProgram } from '../../src/program/print.ts';
import { Memory, type Step } from '../../src/program/step.ts';
import { verify } from '../../src/program/model/verify.ts';
import type { Config, Process } from '../../src/spec/generated/config.ts';

/** Facts to change, group by group. */
export interface HostChanges extends Partial<Omit<HostFacts, 'kernel' | 'identity' | 'lsm'>> {
  readonly kernel?: Partial<HostFacts['kernel']>;
  readonly identity?: Partial<HostFacts['identity']>;
  readonly lsm?: Partial<HostFacts['lsm']>;
}

export interface ContextChanges {
  readonly id?: string;
  readonly config?: Partial<Config>;
  readonly host?: HostChanges;
  readonly bundle?: Partial<BundleFacts>;
  readonly options?: Partial<PlanOptions>;
}

/** A machine with root, a current kernel, cgroup v2 and no LSM, changed where a test says so. */
export function makeHost(changes: HostChanges = {}): HostFacts {
  const { kernel, identity, lsm, ...rest } = changes;
  return {
    arch: 'x86-64',
    kernel: { version: [6, 12], mountSetattr: true, lastCapability: 40, hasKcore: false, ...kernel },
    identity: { euid: 0, egid: 0, effectiveCapabilities: '1ffffffffff', inUserNamespace: false, ...identity },
    cgroup: { mode: 'v2', hierarchies: [], unified: { mountPoint: '/sys/fs/cgroup', ownPath: '/', controllers: [] } },
    lsm: { apparmor: false, selinux: false, ...lsm },
    namespaces: {},
    ...rest,
  };
}

/** A context for one planner: an empty config on the machine of `makeHost`, changed where a test says so. */
export function makeContext(changes: ContextChanges = {}): PlanContext {
  const options: PlanOptions = { noPivot: false, noNewKeyring: false, preserveFds: 0, ...changes.options };
  const memory = new Memory();
  return {
    id: changes.id ?? 'c1',
    config: { ociVersion: '1.3.0', ...changes.config },
    host: makeHost(changes.host),
    bundle: {
      bundle: '/bundle',
      rootfs: '/bundle/rootfs',
      rootfsMountPoint: '/',
      sources: {},
      danglingLinks: {},
      namespaces: {},
      ...changes.bundle,
    },
    options,
    descriptors: descriptorNumbers(options.preserveFds),
    memory,
    slots: allocateSharedSlots(memory),
    warnings: [],
  };
}

/** A process with what the specification demands, changed where a test says so. */
export function makeProcess(changes: Partial<Process> = {}): Process {
  return { cwd: '/', args: ['true'], ...changes };
}

/**
 * The steps as the printer shows them, without the title, from a new line on; throws when they are no valid program.
 */
export function printSteps(steps: readonly Step[]): string {
  const program = { name: '', steps, replies: false };
  const flaws = verify(program);
  if (flaws.length > 0) throw new Error(flaws.join('\n'));
  return printProgram(program).replace(/^.*$/m, '');
}

/** The failure texts of the steps that have one, in order. */
export function listFailures(steps: readonly Step[]): string[] {
  return steps.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
}
