import { TsrunError } from '../../errors.ts';
import type { FilterRules } from './filter.ts';
import type { SeccompPlan } from './load.ts';

/**
 * What can be said of a filter before it is loaded, from its rules alone: calls that it refuses whatever their arguments are, and
 * calls that it lets pass in any case.
 */

/** SECCOMP_RET_* without its data. */
const ACTION_MASK = 0xffff_0000;
const RET_LOG = 0x7ffc_0000;
const RET_ALLOW = 0x7fff_0000;
/** An agent decides. */
const RET_USER_NOTIF = 0x7fc0_0000;

type Answer = 'refused' | 'allowed' | 'unknown';

/** What a filter answers to a call of init, which has the machine's own architecture. */
export function answerOf({ rules, defaultAction }: FilterRules, syscall: string): Answer {
  const own = rules.filter((rule) => rule.syscall === syscall);
  const actions = own.map(({ action }) => action);
  if (own.every(({ conditions }) => conditions.length > 0)) actions.push(defaultAction);
  const answers = new Set(actions.map(answerOfAction));
  const [only = 'unknown'] = answers;
  return answers.size === 1 ? only : 'unknown';
}

function answerOfAction(value: number): Answer {
  const action = (value & ACTION_MASK) >>> 0;
  if (action === RET_ALLOW || action === RET_LOG) return 'allowed';
  // Nobody traces init, and then SECCOMP_RET_TRACE is ENOSYS.
  return action === RET_USER_NOTIF ? 'unknown' : 'refused';
}

/** Calls of init behind a filter that is loaded early, as `SeccompPlan` lists them; `create` waits for `start` in addition. */
const NEEDED = ['capset', 'writev', 'read'];
const NEEDED_TO_WAIT = ['accept4', 'dup3'];

/**
 * Refuses a filter behind which a container cannot be made: init would be refused a call, or killed for it, and `create` could not tell,
 * since it does not wait for an init that waits. Errors: `unsupported`, with the names of the calls.
 */
export function requirePassableFilter(seccomp: SeccompPlan | undefined, { waits }: { readonly waits: boolean }): void {
  if (seccomp?.position !== 'early') return;
  const needed = waits ? [...NEEDED, ...NEEDED_TO_WAIT] : NEEDED;
  const refused = needed.filter((name) => answerOf(seccomp.rules, name) === 'refused');
  if (refused.length === 0) return;
  const why = 'without noNewPrivileges and CAP_SYS_ADMIN the filter is on before the program starts, and has to let';
  throw new TsrunError(
    'unsupported',
    `load the seccomp filter: it refuses ${refused.join(', ')}: ${why} ${needed.join(', ')} pass`,
    { pointer: '/linux/seccomp' },
  );
}

/**
 * What it means when the sync pipe closes while init is to execute the program:
 *
 * - `success`  a failure would have been reported
 * - `death`    execve(2) cannot have happened
 * - `unknown`  a failure could not have been reported
 */
export function meaningOfSilence(seccomp: SeccompPlan | undefined): 'success' | 'death' | 'unknown' {
  if (seccomp === undefined) return 'success';
  if (answerOf(seccomp.rules, 'execve') === 'refused') return 'death';
  return answerOf(seccomp.rules, 'write') === 'allowed' ? 'success' : 'unknown';
}

/** Whether init may look at files behind this filter (plan/process/unfit.ts), which may kill it for that otherwise. */
export function mayLook(seccomp: SeccompPlan | undefined): boolean {
  if (seccomp === undefined) return true;
  return ['openat', 'pread64', 'close', 'write', 'read'].every((name) => answerOf(seccomp.rules, name) === 'allowed');
}
