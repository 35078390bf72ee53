/** config-linux.md, "Seccomp". */
import type { Issue } from '../../errors.ts';
import type { SeccompAction } from '../generated/config.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, isAbsent, isDamaged, itemsOf } from './draft.ts';

const base = '/linux/seccomp';
const errnoActions: ReadonlySet<SeccompAction> = new Set<SeccompAction>(['SCMP_ACT_ERRNO', 'SCMP_ACT_TRACE']);

/** An error number is only given to actions that return one. */
export function checkSeccompErrno({ linux }: DraftConfig): Issue[] {
  const { defaultAction, defaultErrnoRet, syscalls } = linux?.seccomp ?? {};
  const issues: Issue[] = [];
  if (defaultErrnoRet !== undefined && defaultAction !== undefined && !errnoActions.has(defaultAction)) {
    issues.push({ pointer: `${base}/defaultErrnoRet`, message: wrongErrno(defaultErrnoRet, defaultAction) });
  }
  for (const [{ action, errnoRet }, pointer] of itemsOf(syscalls, `${base}/syscalls`)) {
    if (errnoRet === undefined || action === undefined || errnoActions.has(action)) continue;
    issues.push({ pointer: `${pointer}/errnoRet`, message: wrongErrno(errnoRet, action) });
  }
  return issues;
}

function wrongErrno(errno: number, action: SeccompAction): string {
  return `is ${errno}, wanted none: ${quote(action)} cannot return an error number`;
}

/** Somebody answers SCMP_ACT_NOTIFY, and metadata has somebody to go to. */
export function checkSeccompListener({ linux }: DraftConfig): Issue[] {
  const seccomp = linux?.seccomp;
  if (seccomp === undefined || !isAbsent(seccomp.listenerPath) || isDamaged(seccomp, 'listenerPath')) return [];
  const issues: Issue[] = [];
  if (!isAbsent(seccomp.listenerMetadata)) {
    const found = `is ${quote(seccomp.listenerMetadata)} without listenerPath`;
    issues.push({ pointer: `${base}/listenerMetadata`, message: `${found}, wanted both or neither` });
  }
  for (const [{ action }, pointer] of itemsOf(seccomp.syscalls, `${base}/syscalls`)) {
    if (action !== 'SCMP_ACT_NOTIFY') continue;
    issues.push({ pointer: `${pointer}/action`, message: 'is "SCMP_ACT_NOTIFY" but listenerPath is not set' });
  }
  return issues;
}

/** The calls that hand over the notification descriptor are not themselves waiting for an answer to one. */
export function checkSeccompNotify({ linux }: DraftConfig): Issue[] {
  const { defaultAction, syscalls } = linux?.seccomp ?? {};
  const issues: Issue[] = [];
  if (defaultAction === 'SCMP_ACT_NOTIFY') {
    const message = 'is "SCMP_ACT_NOTIFY", wanted another: SCMP_ACT_NOTIFY cannot be used as default action';
    issues.push({ pointer: `${base}/defaultAction`, message });
  }
  for (const [{ action, names }, pointer] of itemsOf(syscalls, `${base}/syscalls`)) {
    if (action !== 'SCMP_ACT_NOTIFY' || !(names ?? []).includes('write')) continue;
    const message = 'is "SCMP_ACT_NOTIFY", wanted another: SCMP_ACT_NOTIFY cannot be used for the write syscall';
    issues.push({ pointer: `${pointer}/action`, message });
  }
  return issues;
}
