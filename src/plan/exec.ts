import { call } from '../program/build.ts';
import { Memory } from '../program/step.ts';
import type { Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { AT_FDCWD, CLONE_NEWUSER, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { planExecAffinity, planResetAffinity } from './process/affinity.ts';
import type { JoinPlace } from './cgroup/path.ts';
import { planClone } from './namespaces/clone.ts';
import { allocateSharedSlots, type DescriptorNumbers, type PlanContext } from './base/context.ts';
import { planNoNewPrivileges, planUmask } from './process/credentials.ts';
import { allocateFound, candidates, planFindExecutable } from './process/executable.ts';
import { planFinishEntering } from './process/finish-process.ts';
import { planIoPriority } from './process/io-priority.ts';
import { labelKeys, planJoinKeyring } from './process/keyring.ts';
import { planLandlock } from './process/landlock.ts';
import { planApparmor, planSelinux } from './process/lsm.ts';
import { NAMESPACE_FLAGS } from './namespaces/namespaces.ts';
import { planOomScore } from './process/oom-score.ts';
import { planMemoryPolicy } from './process/memory-policy.ts';
import { planPasswd } from './process/passwd.ts';
import { planPersonality } from './process/personality.ts';
import { PhaseList, type Phase } from './base/phases.ts';
import { planProcHandle } from './base/proc-handle.ts';
import { reply } from './base/reply.ts';
import { reserveScratch } from './base/scratch.ts';
import { planRlimits, type RlimitSetting } from './process/rlimits.ts';
import { closeHandle } from './base/with-handle.ts';
import { planScheduler } from './process/scheduler.ts';
import { addEarlyFilter } from './seccomp/early.ts';
import type { CompiledSeccomp } from './seccomp/load.ts';
import { planStartInit } from './namespaces/start-init.ts';
import { addUnit } from './namespaces/join-unit.ts';
import { planControllingTerminal, planTerminal } from './process/terminal.ts';

/** What the parent does for it on the way. */
export type ExecExchange = 'cgroup' | 'pid' | 'console' | 'passwd' | 'seccomp' | 'ready';

/** A further process in a container that exists. */
export interface ExecPlan {
  readonly descriptors: ExecDescriptors;
  readonly phases: readonly Phase<ExecExchange>[];
  readonly rlimits: readonly RlimitSetting[];
  /** Where the program was looked for; the `ready` reply tells which of them it is. */
  readonly candidates: readonly string[];
  readonly warnings: readonly string[];
}

/** As for `create`, and two of the container's init. There is no listener. */
export interface ExecDescriptors extends DescriptorNumbers {
  /** A pidfd of the container's init: through it its namespaces are joined in one call. */
  readonly pidfd: number;
  /** The root directory of the container's init, where that is not the root of its mount namespace. */
  readonly root: number;
}

/** What is known of the process, and of the container that it joins, before planning begins. */
export interface ExecInput extends Omit<PlanContext, 'memory' | 'slots' | 'descriptors' | 'warnings'> {
  readonly process: Process;
  /** Namespace types in which the container's init differs from tsrun. */
  readonly differing: readonly (keyof typeof NAMESPACE_FLAGS)[];
  /** Each of these comes as a handle, from `idmaps` on, in the order in which they are joined: init does not let itself be looked into. */
  readonly handles?: readonly (keyof typeof NAMESPACE_FLAGS)[];
  /** The container's cgroups. */
  readonly cgroup: readonly JoinPlace[];
  /** systemd moves the process into the container's unit, because tsrun itself may not. */
  readonly attachesToUnit: boolean;
  /** Enter the root directory of init by itself: its root is not that of the mount namespace. */
  readonly changeRoot: boolean;
  /** The filter of the process, compiled. */
  readonly seccomp?: CompiledSeccomp;
}

/** The numbers behind the program's own descriptors. */
export function execDescriptors(preserveFds: number): ExecDescriptors {
  const first = 3 + preserveFds;
  return {
    sync: first,
    listener: -1,
    pidfd: first + 1,
    root: first + 2,
    scratch: [first + 3, first + 4],
    idmaps: first + 5,
  };
}

/**
 * Plans a process that joins a container. Read from top to bottom it is what happens. Errors: `unsupported`.
 *
 * Two processes do it. The first is in the container's namespaces, but nobody in its pid namespace can name it: it does whatever
 * takes rights. The second is born into the pid namespace, visible, with the capabilities of the program and the few that what
 * is left to do needs (CVE-2016-9962).
 */
export function planExec(input: ExecInput): ExecPlan {
  const memory = new Memory();
  const descriptors = execDescriptors(input.options.preserveFds);
  const context: PlanContext = { ...input, memory, descriptors, slots: allocateSharedSlots(memory), warnings: [] };
  const { process } = input;
  const found = allocateFound(memory, process);
  // Inside its cgroup namespace the kernel would not show this process, which comes from outside, the way in (nsdelegate: ENOENT).
  const joinsUnified = input.differing.includes('user') || input.differing.includes('cgroup');
  const { joinCgroups, clone } = planClone(context, input.cgroup, { types: [], joinsUnified, isApart: true });
  const finish = planFinishEntering(context, process, {
    filtersEarly: input.seccomp?.position === 'early',
    needed: neededBehindBirth(input),
  });
  const phases = new PhaseList<ExecExchange>();
  phases.add(planStartInit(context, { lastDescriptor: descriptors.idmaps + (input.handles?.length ?? 0) - 1 }));
  if (input.attachesToUnit) addUnit(descriptors, phases);
  phases.add(planOomScore(context, process), planExecAffinity(process, 'initial'), joinCgroups);
  addOutside(context, phases, input);
  phases.add(finish.shed, clone).exchange('pid', 'join the container');
  phases.add(
    [call('setsid', [], { label: 'start a session' })],
    affinity(process),
    process.terminal === true ? planControllingTerminal() : [],
    planScheduler(context, process),
    planMemoryPolicy(context),
    finish.become,
    planFindExecutable(context, process, found),
  );
  addEarlyFilter(phases, descriptors, input.seccomp, finish);
  phases
    .add([reply(descriptors.sync, 'ready', 'tell that it is ready', [found])])
    .exchange('ready', 'become the process');
  return {
    descriptors,
    phases: phases.finish(),
    rlimits: planRlimits(process, input.options.openFiles),
    candidates: candidates(process),
    warnings: context.warnings,
  };
}

/** What takes rights, from the host to the container, in the process that is in no pid namespace of it. */
function addOutside(context: PlanContext, phases: PhaseList<ExecExchange>, input: ExecInput): void {
  const { descriptors } = context;
  const { process } = input;
  // A proc that shows this process is that of its own pid namespace. It must not be there any more when there is a process to trace.
  const labelled = hasLabels(process);
  phases.add(
    labelled ? planProcHandle(context) : [],
    planJoin(input, execDescriptors(input.options.preserveFds)),
    labelKeys(context, process, planJoinKeyring(context)),
    [openContainerRoot(context)],
  );
  if (process.terminal === true) {
    phases
      .add(planTerminal(context, process, { console: false, isForChild: true }))
      .exchange('console', 'open the console');
    phases.add(reserveScratch(descriptors));
  }
  const passwd = planPasswd(context, process);
  if (passwd.length > 0) {
    phases.add(passwd).exchange('passwd', 'look up the home directory');
    phases.add(reserveScratch(descriptors));
  }
  phases.add(
    planUmask(process),
    planNoNewPrivileges(process),
    planIoPriority(process),
    planPersonality(context),
    // The kernel hands them on to the process that is born.
    planSelinux(context, process),
    planApparmor(context, process),
    labelled ? [closeHandle(context.slots.proc)] : [],
    planLandlock(context),
  );
}

/** Capabilities that steps behind the birth take, beside those for the ids of the user. */
function neededBehindBirth({ process, seccomp }: ExecInput): string[] {
  return [
    ...(process.scheduler === undefined ? [] : ['CAP_SYS_NICE']),
    // seccomp(2) without no_new_privs. A filter that is inherited would have to allow the clone.
    ...(seccomp?.position === 'early' ? ['CAP_SYS_ADMIN'] : []),
  ];
}

function affinity(process: Process): Step[] {
  return process.execCPUAffinity?.final === undefined ? planResetAffinity() : planExecAffinity(process, 'final');
}

function hasLabels({ apparmorProfile = '', selinuxLabel = '' }: Process): boolean {
  return apparmorProfile !== '' || selinuxLabel !== '';
}

/** Enters the namespaces of a container, and its root. */
export function planJoin(
  { differing, handles, changeRoot }: Pick<ExecInput, 'differing' | 'handles' | 'changeRoot'>,
  { pidfd, root, idmaps }: ExecDescriptors,
): Step[] {
  const flags = differing.reduce((all, type) => all | NAMESPACE_FLAGS[type], 0);
  const join = call('setns', [pidfd, flags], { label: `join the ${differing.join(', ')} namespaces of the container` });
  return [
    ...(flags === 0 || handles !== undefined ? [] : [join]),
    ...(handles ?? []).map((type, index) =>
      call('setns', [idmaps + index, NAMESPACE_FLAGS[type]], { label: `join the ${type} namespace of the container` }),
    ),
    ...(changeRoot
      ? [
          call('fchdir', [root], { label: 'enter the root directory of the container' }),
          call('chroot', ['.'], { label: 'make it the root' }),
        ]
      : []),
    ...((flags & CLONE_NEWUSER) === 0
      ? []
      : [
          call('setresgid', [0, 0, 0], { label: 'become group 0 of the user namespace' }),
          call('setresuid', [0, 0, 0], { label: 'become user 0 of the user namespace' }),
        ]),
  ];
}

/** Lookups inside the container start at its root. */
export function openContainerRoot(context: PlanContext): Step {
  return call('openat', [AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    label: 'open the root of the container',
    result: context.slots.root,
  });
}
