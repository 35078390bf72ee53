import type { Arch } from '../../program/calls.ts';
import type { Seccomp, SeccompAction, SeccompOperator, SeccompSyscall } from '../../spec/generated/config.ts';

/**
 * config-linux.md, "Seccomp": the filter as a list of rules in libseccomp's terms. Two configs that mean the same filter have
 * the same list, which is what the cache goes by.
 */
export interface FilterRules {
  /** libseccomp's names of the architectures, the native one first, each once. */
  readonly architectures: readonly string[];
  /** SECCOMP_RET_* with its data. */
  readonly defaultAction: number;
  readonly rules: readonly FilterRule[];
  /**
   * Every name that the profile mentions, in the order of the profile. Calls with numbers above all of these are newer than the
   * profile and get ENOSYS, so that programs fall back to older calls; empty when they get the default action.
   */
  readonly known: readonly string[];
  /** Have libseccomp build a binary tree in place of a chain of comparisons. */
  readonly isTree: boolean;
}

/** What becomes of a call, by its name, when its arguments are such. `action` is SECCOMP_RET_* with its data. */
export interface FilterRule {
  readonly syscall: string;
  readonly action: number;
  /** All of them must hold. */
  readonly conditions: readonly FilterCondition[];
}

/** One comparison of the argument `index`, 0 to 5 (struct scmp_arg_cmp of libseccomp). */
export interface FilterCondition {
  readonly index: number;
  /** enum scmp_compare of libseccomp. */
  readonly operator: number;
  /** What the argument is compared with; the mask for SCMP_CMP_MASKED_EQ. 64 bits, unsigned. */
  readonly value: bigint;
  /** What the masked argument must be. */
  readonly valueTwo: bigint;
}

const NATIVE: Readonly<Record<Arch, string>> = { 'x86-64': 'x86_64', arm64: 'aarch64' };

/** include/uapi/linux/seccomp.h; libseccomp uses the same values. */
const ACTIONS: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x8000_0000,
  SCMP_ACT_TRAP: 0x0003_0000,
  SCMP_ACT_ERRNO: 0x0005_0000,
  SCMP_ACT_TRACE: 0x7ff0_0000,
  SCMP_ACT_NOTIFY: 0x7fc0_0000,
  SCMP_ACT_LOG: 0x7ffc_0000,
  SCMP_ACT_ALLOW: 0x7fff_0000,
};

/** enum scmp_compare of seccomp.h of libseccomp. */
const OPERATORS: Readonly<Record<SeccompOperator, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

const EPERM = 1;
const ENOSYS = 38;
const DATA_MASK = 0xffff;
/** A chain of comparisons costs every call up to its whole length; from about here a tree is shorter on average. runc's number. */
const TREE_CALLS = 32;

/** The rules of a config's `linux.seccomp` for this architecture. */
export function planFilterRules(seccomp: Seccomp, arch: Arch): FilterRules {
  const { defaultAction, defaultErrnoRet, architectures = [], syscalls = [] } = seccomp;
  const asked = architectures.map((name) => name.replace(/^SCMP_ARCH_/, '').toLowerCase());
  const fallback = actionValue(defaultAction, defaultErrnoRet);
  const known = [...new Set(syscalls.flatMap(({ names }) => names))];
  return {
    architectures: [...new Set([NATIVE[arch], ...asked])],
    defaultAction: fallback,
    // libseccomp refuses rules that say what the default says.
    rules: syscalls.flatMap(rulesOf).filter(({ action }) => action !== fallback),
    known: answersEnosys(defaultAction, fallback) ? known : [],
    isTree: syscalls.reduce((count, { names }) => count + names.length, 0) > TREE_CALLS,
  };
}

function actionValue(action: SeccompAction, errno = EPERM): number {
  const hasData = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  return ACTIONS[action] + (hasData ? errno & DATA_MASK : 0);
}

/**
 * A profile that lets unknown calls pass also lets new ones pass; a tracer knows by itself what to do with them; and ENOSYS needs
 * no help. What else a default does, EPERM above all, would keep the C library from trying an older call. As in runc.
 */
function answersEnosys(action: SeccompAction, value: number): boolean {
  const passes = action === 'SCMP_ACT_ALLOW' || action === 'SCMP_ACT_LOG' || action === 'SCMP_ACT_TRACE';
  return !passes && value !== ACTIONS.SCMP_ACT_ERRNO + ENOSYS;
}

function rulesOf({ names, action, errnoRet, args = [] }: SeccompSyscall): FilterRule[] {
  const value = actionValue(action, errnoRet);
  const conditions = args.map((arg) => ({
    index: arg.index,
    operator: OPERATORS[arg.op],
    value: BigInt(arg.value),
    valueTwo: BigInt(arg.valueTwo ?? 0),
  }));
  // libseccomp takes one condition for an argument; several for the same one have always meant alternatives (runc, crun).
  const isRepeated = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  const alternatives = isRepeated ? conditions.map((condition) => [condition]) : [conditions];
  return names.flatMap((syscall) => alternatives.map((all) => ({ syscall, action: value, conditions: all })));
}
