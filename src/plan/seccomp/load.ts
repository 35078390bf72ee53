import { TsrunError } from '../../errors.ts';
import { at, call, wordBlock } from '../../program/build.ts';
import type { Block, Place, Region, Step } from '../../program/step.ts';
import type { Config, Process, Seccomp, SeccompFlag } from '../../spec/generated/config.ts';
import { holdsCapability } from '../base/facts.ts';
import type { HostFacts } from '../base/facts.ts';
import { EXCHANGES } from '../base/exchanges.ts';
import { descriptorMessage } from '../base/reply.ts';
import { planFilterRules, type FilterRules } from './filter.ts';
import {
  CAP_SYS_PTRACE,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
  SECCOMP_SET_MODE_FILTER,
} from '../../util/constants.ts';
import { CMSG_DATA, sockFprog } from '../../program/structs.ts';

/**
 * config-linux.md, "Seccomp"; man 2 seccomp.
 *
 * Where the filter is loaded: a process with no_new_privs or CAP_SYS_ADMIN may do it at any time, and then it is the last thing
 * before execve(2), so that nothing but the program itself has to live with it (`late`). Without either it is done when init is the
 * user already and has looked everything up, but has kept the right to load a filter beyond what the program has (`early`). Then the
 * profile has to allow what init does after that:
 *
 *     capset, writev, read, execve, and prlimit64 for a low RLIMIT_NOFILE
 *     accept4, dup3 and close for a container that is created first and started later
 *     write or sendmsg in the place of writev for a filter with a listener
 *     getpid, pipe2, clone, dup3, prctl, setsid, fcntl, sendmsg, close, wait4 and writev for startContainer hooks
 *
 * and may lack close_range, which profiles of before 2020 do not know. A profile that surely refuses a call of the first two lines is
 * refused (`requirePassableFilter`). Another call that is refused is a failure with the label of its step, and no container is made;
 * where `write` is refused too, or a refusal kills, init ends, and the way it ended is told. Of a late filter execve(2) alone has to
 * pass; how a failure is found that init cannot report, see `meaningOfSilence`.
 */
export interface SeccompPlan {
  readonly rules: FilterRules;
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags: number;
  readonly position: 'early' | 'late';
  /** For people: `SCMP_ACT_ERRNO`. */
  readonly defaultAction: string;
  /** Who answers SCMP_ACT_NOTIFY; absent when no rule asks for it. */
  readonly listener?: SeccompListener;
}

/** The agent that answers for a filter: its unix socket and the text that goes along (config-linux.md, "Seccomp"). */
export interface SeccompListener {
  readonly path: string;
  readonly metadata: string | undefined;
  /**
   * How the parent gets it. It takes it out of init (pidfd_getfd(2)), whatever the filter says; who may not look into init, which
   * takes CAP_SYS_PTRACE, has init send it, and then the filter has to let sendmsg pass.
   */
  readonly way: 'taken' | 'sent';
}

/** A filter that can be loaded. */
export interface CompiledSeccomp extends SeccompPlan {
  /** struct sock_filter[]: 8 bytes each. */
  readonly program: Uint8Array;
}

/** TSYNC is for processes with threads, of which init has one. WAIT_KILLABLE_RECV is about the listener. */
const FLAGS: Readonly<Record<SeccompFlag, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
};
const POINTER = '/linux/seccomp';

/** What a process's filter is, and when it is loaded; undefined without one. Errors: `unsupported` for flags of newer kernels. */
export function planSeccomp(config: Config, process: Process | undefined, host: HostFacts): SeccompPlan | undefined {
  const seccomp = config.linux?.seccomp;
  if (seccomp === undefined || process === undefined) return undefined;
  const listens = (seccomp.syscalls ?? []).some(({ action }) => action === 'SCMP_ACT_NOTIFY');
  return {
    rules: planFilterRules(seccomp, host.arch),
    flags: planFlags(seccomp, host, listens),
    position: mayLoadLate(process) ? 'late' : 'early',
    defaultAction: seccomp.defaultAction,
    ...(listens ? { listener: planListener(seccomp, host) } : {}),
  };
}

function planListener(
  { listenerPath = '', listenerMetadata, syscalls = [] }: Seccomp,
  host: HostFacts,
): SeccompListener {
  const way = holdsCapability(host, CAP_SYS_PTRACE) ? 'taken' : 'sent';
  const index = syscalls.findIndex(({ action, names }) => action === 'SCMP_ACT_NOTIFY' && names.includes('sendmsg'));
  if (way === 'sent' && index >= 0) {
    const message = 'SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall without CAP_SYS_PTRACE';
    throw new TsrunError('unsupported', message, { pointer: `${POINTER}/syscalls/${index}` });
  }
  return { path: listenerPath, metadata: listenerMetadata, way };
}

function planFlags(seccomp: Seccomp, { kernel }: HostFacts, listens: boolean): number {
  const { flags = ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'] } = seccomp;
  let bits = listens ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  for (const flag of flags) {
    if (flag === 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV') {
      // The kernel refuses it without a listener.
      if (!listens) continue;
      const [major, minor] = kernel.version;
      if (major < 5 || (major === 5 && minor < 19)) {
        const found = `this is Linux ${major}.${minor}, ${flag} needs 5.19`;
        throw new TsrunError('unsupported', found, { pointer: `${POINTER}/flags` });
      }
    }
    bits |= FLAGS[flag];
  }
  return bits;
}

function mayLoadLate({ noNewPrivileges, capabilities }: Process): boolean {
  const has = (set: readonly string[] = []): boolean => set.includes('CAP_SYS_ADMIN');
  return noNewPrivileges === true || (has(capabilities?.effective) && has(capabilities?.permitted));
}

/** Loads the filter; `result` receives the number of the listener, if there is one. */
export function planLoadFilter(seccomp: CompiledSeccomp, result?: Region | Place): Step {
  const count = seccomp.program.length / 8;
  const shown = `${count} instructions, default ${seccomp.defaultAction}`;
  const program = sockFprog(seccomp.program, shown);
  return call('seccomp', [SECCOMP_SET_MODE_FILTER, seccomp.flags, program], {
    label: `load the seccomp filter (${shown})`,
    pointer: POINTER,
    ...(result === undefined ? {} : { result }),
  });
}

/**
 * Loads a filter with a listener, and tells its number in the last word of the reply. The call that does so, write(2) or sendmsg(2),
 * may not wait for the listener's answer: nobody has the listener yet.
 */
export function planLoadListenedFilter(sync: number, seccomp: CompiledSeccomp): Step[] {
  if (seccomp.listener?.way === 'sent') {
    const { message, control } = descriptorMessage('seccomp', 'the listener');
    return [
      planLoadFilter(seccomp, at(control, CMSG_DATA)),
      call('sendmsg', [sync, message, 0], { label: 'send the seccomp listener', pointer: POINTER }),
    ];
  }
  const message: Block = wordBlock([EXCHANGES.seccomp.tag, 0], `tag ${EXCHANGES.seccomp.tag} and the listener`);
  return [
    planLoadFilter(seccomp, at(message, 8)),
    call('write', [sync, message, message.bytes.length], { label: 'tell the number of the seccomp listener' }),
  ];
}
