import { addressOf, call, equals, failWhen, not, wordBlock } from '../../program/build.ts';
import type { Block, Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_RDWR,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFCHR,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
} from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { ensureInRoot, isDeviceNumber, isFileType, openInRoot, statHandle } from '../base/handles.ts';
import { replyWithDescriptors } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';
import { winsize } from '../../program/structs.ts';

const POINTER = '/process/terminal';
/** Magic number of devpts in struct statfs (include/uapi/linux/magic.h). */
const DEVPTS_SUPER_MAGIC = 0x1cd1n;

/** Where else the terminal appears, and who makes it the controlling one. */
export interface TerminalOptions {
  readonly console: boolean;
  /** The process that starts the session is another one, which makes the terminal its own by `planControllingTerminal`. */
  readonly isForChild?: boolean;
}

/**
 * A pseudo-terminal of the container's own devpts as standard input, output and error and as controlling terminal; its master
 * goes to the parent. `console` also mounts it on /dev/console, as an init has it.
 *
 * An image may put anything at /dev/ptmx and /dev/pts: the multiplexer is taken from a directory verified as devpts, verified
 * itself, and the other end is obtained from the master, not by its name (CVE-2025-52565).
 */
export function planTerminal(context: PlanContext, process: Process, options: TerminalOptions): Step[] {
  if (process.terminal !== true) return [];
  return withHandle(context, { name: 'master', open: (master) => openMaster(context, master) }, (master) => [
    call('ioctl', [master, TIOCSPTLCK, wordBlock([0], '{0}')], { label: 'unlock the terminal', pointer: POINTER }),
    ...windowSize(process).map((size) =>
      call('ioctl', [master, TIOCSWINSZ, size], {
        label: 'set the size of the terminal',
        pointer: '/process/consoleSize',
      }),
    ),
    ...withHandle(context, { name: 'terminal', open: (terminal) => [openTerminal(master, terminal)] }, (terminal) => [
      ...(options.console ? mountConsole(context, terminal) : []),
      ...makeStandard(terminal),
      ...(options.isForChild === true ? [] : planControllingTerminal()),
    ]),
    ...replyWithDescriptors(context.descriptors, 'console', 'hand over the console', [master]),
  ]);
}

function openTerminal(master: Region, result: Region): Step {
  return call('ioctl', [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], {
    label: 'open the terminal',
    pointer: POINTER,
    result,
  });
}

function openMaster(context: PlanContext, master: Region): Step[] {
  const { stat } = context.slots;
  const wrong = { label: 'open a terminal: /dev/pts/ptmx is no terminal multiplexer', pointer: POINTER };
  const options = { label: 'open /dev/pts', pointer: POINTER, noSymlinks: true, directory: true };
  const open = (target: Region): Step[] => openInRoot(context, '/dev/pts', target, options);
  return [
    ...withHandle(context, { name: 'target', open }, (target) => [
      call('fstatfs', [target, addressOf(stat)], { label: 'look at /dev/pts', pointer: POINTER }),
      failWhen(not(equals(stat, DEVPTS_SUPER_MAGIC, { text: '/dev/pts is a devpts' })), 'ENODEV', {
        label: 'open a terminal: /dev/pts is no devpts',
        pointer: POINTER,
      }),
      call('openat', [target, 'ptmx', O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0], {
        label: 'open /dev/pts/ptmx',
        pointer: POINTER,
        result: master,
      }),
    ]),
    statHandle(context, master, 'look at /dev/pts/ptmx'),
    failWhen(not(isFileType(context, S_IFCHR, 'a character device')), 'ENODEV', wrong),
    failWhen(not(isDeviceNumber(context, 5, 2)), 'ENODEV', wrong),
  ];
}

function mountConsole(context: PlanContext, terminal: Region): Step[] {
  const label = 'mount the terminal on /dev/console';
  const clone = (result: Region): Step[] => [
    call('open_tree', [terminal, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], { label, result }),
  ];
  const ensure = (target: Region): Step[] =>
    ensureInRoot(context, '/dev/console', target, { kind: 'file', pointer: POINTER, noSymlinks: true });
  return withHandle(context, { name: 'tree', open: clone }, (tree) =>
    withHandle(context, { name: 'target', open: ensure }, (target) => [
      call('move_mount', [tree, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH], { label }),
    ]),
  );
}

function makeStandard(terminal: Region): Step[] {
  return [0, 1, 2].map((number) =>
    call('dup3', [terminal, number, 0], { label: `make the terminal descriptor ${number}`, pointer: POINTER }),
  );
}

/** For the process that has started the session. */
export function planControllingTerminal(): Step[] {
  return [call('ioctl', [0, TIOCSCTTY, 0], { label: 'make the terminal the controlling one', pointer: POINTER })];
}

function windowSize({ consoleSize }: Process): Block[] {
  const { height = 0, width = 0 } = consoleSize ?? {};
  if (height === 0 || width === 0) return [];
  return [winsize({ rows: Math.min(height, 0xffff), columns: Math.min(width, 0xffff) })];
}
