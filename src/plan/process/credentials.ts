import { call, failWhen } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS } from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { gidList } from '../../program/structs.ts';

/** config.md, "User" and `noNewPrivileges`; credentials(7). */

/** A process may have 65536 groups (man 2 setgroups). */
const SHOWN_MAX = 8;

/**
 * Replaces the supplementary groups, also by none: the container must not keep the host's.
 *
 * Where setgroups(2) is denied (an unprivileged tsrun, or a user namespace whose /proc/self/setgroups says so), an empty list
 * leaves the groups as they are and any other fails.
 */
export function planGroups(context: PlanContext, process: Process): Step[] {
  const groups = process.user?.additionalGids ?? [];
  const { euid, inUserNamespace } = context.host.identity;
  const mayBeDenied = euid !== 0 || inUserNamespace;
  const pointer = '/process/user/additionalGids';
  if (groups.length === 0) {
    return [
      call('setgroups', [0, 0], {
        label: 'clear the supplementary groups',
        pointer: '/process/user',
        ...(mayBeDenied ? { accept: ['EPERM'] } : {}),
      }),
    ];
  }
  const more = groups.length > SHOWN_MAX ? `, and ${groups.length - SHOWN_MAX} more` : '';
  const shown = `[${groups.slice(0, SHOWN_MAX).join(', ')}${more}]`;
  return [
    call('setgroups', [groups.length, gidList(groups)], {
      label: `set supplementary groups ${shown}`,
      pointer,
      ...(mayBeDenied
        ? { failure: `cannot set any additional groups in a rootless container: setgroups ${shown}: {errno}` }
        : {}),
    }),
  ];
}

/** Becomes the user: group first, since only the old user may change it. Real, effective and saved ids are the same. */
export function planIds(context: PlanContext, process: Process): Step[] {
  const { uid = 0, gid = 0 } = process.user ?? {};
  return [
    ...setIds(context, { call: 'setresgid', id: gid, short: 'gid', long: 'group' }),
    ...setIds(context, { call: 'setresuid', id: uid, short: 'uid', long: 'user' }),
  ];
}

interface IdChange {
  readonly call: 'setresgid' | 'setresuid';
  readonly id: number;
  readonly short: 'gid' | 'uid';
  readonly long: 'group' | 'user';
}

function setIds(context: PlanContext, change: IdChange): Step[] {
  const { id, short, long } = change;
  const pointer = `/process/user/${short}`;
  const label = `set ${short} to ${id}`;
  const operands = [id, id, id];
  const canBeUnmapped = findNamespace(context.config, 'user') !== undefined || context.host.identity.inUserNamespace;
  if (!canBeUnmapped) return [call(change.call, operands, { label, pointer })];
  // EINVAL is the one errno that says "not mapped"; the others keep their own message.
  const result = context.slots.answer;
  return [
    call(change.call, operands, { label, pointer, accept: ['EINVAL'], result }),
    failWhen(failedWith(result, 'EINVAL'), 'EINVAL', {
      label: `check that ${short} ${id} is mapped`,
      pointer,
      failure: `cannot set ${short} to unmapped ${long} ${id} in user namespace: {errno}`,
    }),
  ];
}

/** Before the uid changes: the permitted capabilities outlive the change, so that capset(2) can choose among them. */
export function planKeepCapabilities(): Step[] {
  return [call('prctl', [PR_SET_KEEPCAPS, 1, 0, 0, 0], { label: 'keep capabilities across the change of uid' })];
}

/** After the uid has changed: undoes `planKeepCapabilities`. */
export function planForgetCapabilities(): Step[] {
  return [call('prctl', [PR_SET_KEEPCAPS, 0, 0, 0, 0], { label: 'end keeping capabilities' })];
}

const DEFAULT_UMASK = 0o022;

/** Sets the umask; 0022 when the config has none, so that the caller's does not leak in. */
export function planUmask(process: Process): Step[] {
  const umask = process.user?.umask ?? DEFAULT_UMASK;
  return [
    call('umask', [umask], {
      label: `set umask to 0${umask.toString(8).padStart(3, '0')}`,
      pointer: '/process/user/umask',
    }),
  ];
}

/** Sets no_new_privs when the config asks for it; it is never cleared. Source: man 2 PR_SET_NO_NEW_PRIVS. */
export function planNoNewPrivileges(process: Process): Step[] {
  if (process.noNewPrivileges !== true) return [];
  return [
    call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], {
      label: 'set no_new_privs',
      pointer: '/process/noNewPrivileges',
    }),
  ];
}
