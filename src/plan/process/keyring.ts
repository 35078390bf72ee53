import { call, failWhen, isNegative, unless } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import {
  KEYCTL_JOIN_SESSION_KEYRING,
  KEYCTL_SETPERM,
  KEY_OTH_SEARCH,
  KEY_POS_LINK,
  KEY_POS_READ,
  KEY_POS_SEARCH,
  KEY_POS_SETATTR,
  KEY_POS_VIEW,
  KEY_POS_WRITE,
  KEY_USR_LINK,
  KEY_USR_READ,
  KEY_USR_SEARCH,
  KEY_USR_VIEW,
} from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { planSelinuxKeyLabel, planSelinuxKeyLabelEnd } from './lsm.ts';

/** What join_session_keyring() of security/keys/process_keys.c gives a new keyring. */
const NEW_KEYRING =
  KEY_POS_VIEW |
  KEY_POS_READ |
  KEY_POS_WRITE |
  KEY_POS_SEARCH |
  KEY_POS_LINK |
  KEY_POS_SETATTR |
  KEY_USR_VIEW |
  KEY_USR_READ |
  KEY_USR_LINK;

/**
 * Gives the container a session keyring of its own, `_ses.<id>`, in place of the caller's, and lets `exec` find it.
 *
 * Source: man 2 keyctl; keyrings are hardening beside the file permissions, so a kernel without them (ENOSYS) is fine, but
 * a quota that is used up is not: the container would see the caller's keys.
 */
export function planNewKeyring(context: PlanContext): Step[] {
  if (context.options.noNewKeyring) return [];
  const { answer } = context.slots;
  const isForeign = findNamespace(context.config, 'user') !== undefined;
  // Processes that join later must be able to find it: by its owner, or in a user namespace by anyone.
  const permissions = NEW_KEYRING | (isForeign ? KEY_OTH_SEARCH : KEY_USR_SEARCH);
  const allow = call('keyctl', [KEYCTL_SETPERM, answer, permissions, 0, 0], {
    label: `make session keyring ${shownName(context)} searchable`,
  });
  return [...planJoinKeyring(context), ...unless(isNegative(answer), [allow], 'skip when the kernel has no keyrings')];
}

/** Joins the container's session keyring, or makes it when it is gone. For `exec`. */
export function planJoinKeyring(context: PlanContext): Step[] {
  if (context.options.noNewKeyring) return [];
  const { answer } = context.slots;
  const label = `join session keyring ${shownName(context)}`;
  return [
    call('keyctl', [KEYCTL_JOIN_SESSION_KEYRING, keyringName(context), 0, 0, 0], {
      label,
      accept: ['ENOSYS', 'EDQUOT'],
      result: answer,
    }),
    failWhen(failedWith(answer, 'EDQUOT'), 'EDQUOT', {
      label,
      failure: `${label}: {errno}: the user has too many keys, see kernel.keys.maxkeys and kernel.keys.root_maxkeys`,
    }),
  ];
}

/** Whether `labelKeys` has something to write, which takes `slots.proc`. */
export function hasKeyLabel(process: Process | undefined): boolean {
  return (process?.selinuxLabel ?? '') !== '';
}

/** Steps that make a keyring, with the label of the program on it where there is one. */
export function labelKeys(context: PlanContext, process: Process | undefined, steps: readonly Step[]): Step[] {
  if (process === undefined || !hasKeyLabel(process) || steps.length === 0) return [...steps];
  return [...planSelinuxKeyLabel(context, process), ...steps, ...planSelinuxKeyLabelEnd(context, process)];
}

function keyringName({ id }: PlanContext): string {
  return `_ses.${id}`;
}

function shownName(context: PlanContext): string {
  return JSON.stringify(keyringName(context));
}
