import { at, call, equals, stringArray, when } from '../program/build.ts';
import type { Block, Operand, Place, Program, Region, Step } from '../program/step.ts';
import { Memory } from '../program/step.ts';
import type { Hook, Process } from '../spec/generated/config.ts';
import { CLONE_PIDFD, F_DUPFD_CLOEXEC, O_CLOEXEC, PR_SET_PDEATHSIG } from '../util/constants.ts';
import type { DescriptorNumbers } from './base/context.ts';
import { buildEnvironment } from './process/environment.ts';
import { EXCHANGES } from './base/exchanges.ts';
import { reply, tagOf } from './base/reply.ts';
import { planLoadFilter, type CompiledSeccomp } from './seccomp/load.ts';
import { SIGNALS } from '../util/signals.ts';
import { CMSG_DATA, cmsgLength, cmsgRights, iovec, msghdr } from '../program/structs.ts';

/**
 * config.md, "POSIX-platform Hooks": the kinds that run in the container's namespaces.
 *
 * Such a hook is a child of init. So it is born with everything that init is at that moment: namespaces, cgroups, user,
 * capabilities, no_new_privs, limits, security labels and root directory. Nothing has to be joined, and no hook can have a right
 * that init has not. That decides the question of privileges:
 *
 * - createContainer runs a program of the host while init still is the root of the container's user namespace.
 * - startContainer runs a program of the container's own file system, which may be hostile, and so with exactly the identity of
 *   the container's process, which init has taken on at create.
 *
 *     tsrun                      init                                hook
 *     "start the hook" ------->  4 pipes, clone3 ------------------> session of its own, descriptors 0 to 2
 *              <-- descriptors   closes its own ends, waits          execve
 *     state ------------------------- pipe ------------------------> standard input
 *     output <----------------------- pipe ------------------------- standard output and error
 *     failed step <------------------ pipe ------------------------- end of file: it executes
 *     pidfd is readable <------------------------------------------- ends
 *     "reap the hook" -------->  wait4
 *              <-- status
 *
 * Init reads the sync pipe while the hook runs: when tsrun dies, init ends, and the hook with it (PR_SET_PDEATHSIG).
 */
export type ContainerHookKind = 'createContainer' | 'startContainer';

/** The pipes between tsrun and a hook, in the order in which their descriptors travel: read end, write end each. */
export const HOOK_PIPES = ['stdin', 'stdout', 'stderr', 'report'] as const;
/** `report` is closed by execve(2); what comes through it before is the failure report of a hook that could not be executed. */
export type HookPipe = (typeof HOOK_PIPES)[number];

/** What the hooks of one conversation have in common. */
export interface HookSetting {
  readonly kind: ContainerHookKind;
  readonly descriptors: DescriptorNumbers;
  /** Word of the hook's pid in init's memory. */
  readonly pid: Region;
  /** Word with the pidfd of the hook. */
  readonly pidfd: Region;
  /** Word with init's own pid, or the status of a hook that has ended. */
  readonly answer: Region;
  /** Handle of the directory that the hook starts in; without it it starts where init is. */
  readonly directory: Region | undefined;
  /** For hooks without an environment of their own. */
  readonly environment: readonly string[];
  /** The filter that the container's process is going to load itself. */
  readonly filter?: CompiledSeccomp;
}

/** The two programs around the life of one hook; in between init reads the sync pipe. */
export interface HookPlan {
  /** Answered by `hook-started` with init's pid in its namespace. */
  readonly start: Program;
  /** To be sent when the pidfd is readable; answered by `hook-ended` with the status. */
  readonly reap: Program;
}

/** umask(2) of a hook while the set-up itself works without one. */
const HOOK_UMASK = 0o022;

/** createContainer: the file system is the host's as the container's mount namespace has it, the directory is the rootfs. */
export function createContainerSetting(
  context: { readonly memory: Memory; readonly descriptors: DescriptorNumbers },
  root: Region,
): HookSetting {
  // config.md leaves open what a missing `env` means; runc gives these hooks none.
  return { kind: 'createContainer', ...setting(context), directory: root, environment: [] };
}

/** startContainer: without an environment of its own a hook has that of the container's process. */
export function startContainerSetting(
  descriptors: DescriptorNumbers,
  { process, home, seccomp }: { readonly process: Process; readonly home: string; readonly seccomp?: CompiledSeccomp },
): HookSetting {
  const environment = buildEnvironment(process, home);
  // Init's memory holds nothing any more that is needed after `start` has come.
  const own = setting({ descriptors, memory: new Memory() });
  // An early filter is on already. A listener would be the hook's own: nobody would answer it.
  const isOwn = seccomp?.position === 'late' && seccomp.listener === undefined;
  const filter = isOwn ? { filter: seccomp } : {};
  return { kind: 'startContainer', ...own, directory: undefined, environment, ...filter };
}

function setting({
  memory,
  descriptors,
}: {
  readonly memory: Memory;
  readonly descriptors: DescriptorNumbers;
}): Pick<HookSetting, 'descriptors' | 'pid' | 'pidfd' | 'answer'> {
  return {
    descriptors,
    pid: memory.word('hook'),
    pidfd: memory.word('hook-pidfd'),
    answer: memory.word('hook-answer'),
  };
}

/** Starts one hook, and reaps it later. `title` names it: `createContainer hook #0`. */
export function planHook(setting: HookSetting, hook: Hook, title: string): HookPlan {
  const { descriptors, pid, answer } = setting;
  return {
    start: { name: `start ${title}`, replies: true, reply: EXCHANGES['hook-started'], steps: planStart(setting, hook) },
    reap: {
      name: `reap ${title}`,
      replies: true,
      reply: EXCHANGES['hook-ended'],
      steps: [
        call('wait4', [pid, statusAddress(answer), 0, 0], { label: 'reap the hook' }),
        reply(descriptors.sync, 'hook-ended', 'tell how it ended', [answer]),
      ],
    },
  };
}

function statusAddress(answer: Region): Operand {
  return { kind: 'address', of: answer, offset: 0 };
}

/** struct cmsghdr with the eight ends of the pipes and the pidfd: the kernel itself writes their numbers into it. */
interface Control {
  readonly of: Block;
  readonly size: number;
}

const PIPE_SIZE = 8;

function planStart(setting: HookSetting, hook: Hook): Step[] {
  const { descriptors, pid, pidfd, answer } = setting;
  const control = makeControl();
  const ends = HOOK_PIPES.flatMap((name) => [endOf(control, name, 'read'), endOf(control, name, 'write')]);
  return [
    ...HOOK_PIPES.map((name) =>
      call('pipe2', [{ kind: 'address', of: control.of, offset: offsetOf(name) }, O_CLOEXEC], {
        label: `make a pipe for the ${name} of the hook`,
      }),
    ),
    call('getpid', [], { label: 'look at its own pid', result: answer }),
    // A filter that is on already may be older than clone3(2). The order of the last two differs between architectures; they are 0.
    call('clone', [CLONE_PIDFD | SIGNALS.CHLD, 0, { kind: 'address', of: pidfd, offset: 0 }, 0, 0], {
      label: 'create the process of the hook',
      result: pid,
    }),
    ...when(
      equals(pid, 0n, { text: 'this is the hook' }),
      planChild(setting, hook, control),
      'go on unless it is the hook',
    ),
    // Last in the list, so that the 8 bytes of the result overwrite nothing.
    call('fcntl', [pidfd, F_DUPFD_CLOEXEC, 0], { label: 'list the pidfd of the hook', result: pidfdOf(control) }),
    sendControl(descriptors.sync, control, answer),
    // Whoever holds an end of a pipe keeps the other side from seeing the end of file.
    ...[...ends, pidfdOf(control), pidfd].map((end) =>
      call('close', [end], { label: 'leave it to others', accept: 'any' }),
    ),
  ];
}

/** From the clone to execve. A step that fails is reported through the pipe that has taken the sync pipe's place. */
function planChild(setting: HookSetting, hook: Hook, control: Control): Step[] {
  const { descriptors, directory, kind, filter } = setting;
  const { sync } = descriptors;
  const take = (name: HookPipe, side: 'read' | 'write', number: number): Step =>
    call('dup3', [endOf(control, name, side), number, name === 'report' ? O_CLOEXEC : 0], {
      label: `take its ${name}`,
    });
  return [
    take('report', 'write', sync),
    call('prctl', [PR_SET_PDEATHSIG, SIGNALS.KILL, 0, 0, 0], { label: 'end when init ends' }),
    // A hook that takes too long is killed with its whole group.
    call('setsid', [], { label: 'start a session' }),
    take('stdin', 'read', 0),
    take('stdout', 'write', 1),
    take('stderr', 'write', 2),
    ...(directory === undefined ? [] : [call('fchdir', [directory], { label: 'enter the rootfs' })]),
    ...(kind === 'createContainer' ? [call('umask', [HOOK_UMASK], { label: 'set umask to 0022' })] : []),
    // Descriptors that the container's process inherits are not the hook's.
    ...(sync > 3 ? [call('close_range', [3, sync - 1, 0], { label: 'close what is meant for the program' })] : []),
    // They are close-on-exec anyway, and a filter that is on already may be older than this call (Linux 5.9).
    call('close_range', [sync + 1, 0xffff_ffff, 0], { label: 'close every other descriptor', accept: 'any' }),
    ...(filter === undefined ? [] : [planLoadFilter(filter)]),
    ...planExecute(hook, hook.env ?? setting.environment),
  ];
}

const SHELL = '/bin/sh';

/** As execvp(3): what the kernel knows no format of, such as a script without `#!`, is run by the shell. */
function planExecute(hook: Hook, environment: readonly string[]): Step[] {
  const args = argumentsOf(hook);
  const env = stringArray(environment);
  return [
    call('execve', [hook.path, stringArray(args), env], { label: 'execute it', accept: ['ENOEXEC'] }),
    call('execve', [SHELL, stringArray([SHELL, hook.path, ...args.slice(1)]), env], {
      label: `execute it with ${JSON.stringify(SHELL)}`,
    }),
  ];
}

function argumentsOf({ path, args = [] }: Hook): readonly string[] {
  return args.length === 0 ? [path] : args;
}

function makeControl(): Control {
  const count = HOOK_PIPES.length * 2 + 1;
  // As much again as the result of a call takes behind the last number.
  const of = cmsgRights(Array<number>(count).fill(0), 'descriptors', 4);
  return { of, size: cmsgLength(count) };
}

function offsetOf(name: HookPipe): number {
  return CMSG_DATA + HOOK_PIPES.indexOf(name) * PIPE_SIZE;
}

/** The 4 bytes of a descriptor are read as 8: the kernel takes only the lower half of a descriptor. */
function endOf({ of }: Control, name: HookPipe, side: 'read' | 'write'): Place {
  return at(of, offsetOf(name) + (side === 'read' ? 0 : 4));
}

function pidfdOf({ of }: Control): Place {
  return at(of, CMSG_DATA + HOOK_PIPES.length * PIPE_SIZE);
}

function sendControl(sync: number, { of, size }: Control, answer: Region): Step {
  const tag = tagOf('hook-started');
  const parts = [
    { of: tag, size: 8 },
    { of: answer, size: 8 },
  ];
  const vector = iovec(parts);
  const message = msghdr(vector, of, { shown: () => `{${vector.text}, ${of.text}}`, controlSize: size });
  return call('sendmsg', [sync, message, 0], { label: 'hand over the ends of the pipes and a pidfd' });
}
