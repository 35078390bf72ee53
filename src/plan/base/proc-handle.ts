import { addressOf, call, equals, failWhen, isNegative, not, when } from '../../program/build.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { Step } from '../../program/step.ts';
import {
  AT_FDCWD,
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from '../../util/constants.ts';
import type { PlanContext } from './context.ts';
import { withHandle } from './with-handle.ts';

/** include/uapi/linux/magic.h */
const PROC_SUPER_MAGIC = 0x9fa0n;

/** Whether any write below /proc is asked for. */
export function needsProcHandle(config: Config): boolean {
  const hasSysctl = Object.keys(config.linux?.sysctl ?? {}).length > 0;
  return hasSysctl || hasLabel(config.process?.apparmorProfile) || hasLabel(config.process?.selinuxLabel);
}

function hasLabel(label: string | undefined): boolean {
  return label !== undefined && label !== '';
}

/**
 * A proc file system that is mounted nowhere, as `slots.proc`: nothing an image or another process of the container does can
 * stand in for its files (CVE-2019-16884, CVE-2025-52881).
 *
 * Where the kernel refuses a new one (a user namespace without a pid namespace of its own) the host's /proc stands in, opened
 * while the host's mounts are still in view, and verified to be a proc file system.
 */
export function planProcHandle(context: PlanContext): Step[] {
  const { proc, stat } = context.slots;
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const label = 'open a private proc file system';
  return [
    ...withHandle(
      context,
      {
        name: 'file system',
        open: (handle) => [call('fsopen', ['proc', FSOPEN_CLOEXEC], { label, accept: ['EPERM'], result: handle })],
      },
      (handle) => [
        call('fsconfig', [handle, FSCONFIG_CMD_CREATE, 0, 0, 0], { label, accept: ['EPERM', 'EBADF'] }),
        call('fsmount', [handle, FSMOUNT_CLOEXEC, attributes], {
          label,
          accept: ['EPERM', 'EBADF', 'EINVAL'],
          result: proc,
        }),
      ],
    ),
    ...when(isNegative(proc), [
      call('openat', [AT_FDCWD, '/proc', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { label: 'open /proc', result: proc }),
      call('fstatfs', [proc, addressOf(stat)], { label: 'look at /proc' }),
      failWhen(not(equals(stat, PROC_SUPER_MAGIC, { text: '/proc is a proc' })), 'ENODEV', {
        label: 'open /proc: it is no proc file system',
      }),
    ]),
  ];
}
