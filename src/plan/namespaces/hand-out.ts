import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { NamespaceType } from '../../spec/generated/config.ts';
import {
  AT_FDCWD,
  CAP_SYS_PTRACE,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
} from '../../util/constants.ts';
import { holdsCapability } from '../base/facts.ts';
import type { PlanContext } from '../base/context.ts';
import type { Region } from '../../program/step.ts';
import { tagOf } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';
import { cmsgRights, iovec, msghdr } from '../../program/structs.ts';

/**
 * What an init that waits for `start` hands to an `exec` that may not look into it.
 *
 * Nobody but one with CAP_SYS_PTRACE on the host may open the namespaces of a process that is not dumpable, and init stays opaque to
 * the other processes of its container (CVE-2016-9962). So it holds handles of its own, and gives them to the container's creator.
 */

/** File name below /proc/PID/ns -> type in config.json, in the order in which they are handed out and joined: rights come first. */
export const HANDED_NAMESPACES = {
  user: 'user',
  cgroup: 'cgroup',
  ipc: 'ipc',
  uts: 'uts',
  net: 'network',
  time: 'time',
  pid: 'pid',
  mnt: 'mount',
} as const satisfies Readonly<Record<string, NamespaceType>>;

/** A file name below /proc/PID/ns: `net` and `mnt` where config.json says `network` and `mount`. */
export type NamespaceFile = keyof typeof HANDED_NAMESPACES;

/** Those that this kernel has. */
export function handedFiles({
  namespaces,
}: {
  readonly namespaces: Readonly<Record<string, string>>;
}): NamespaceFile[] {
  return (Object.keys(HANDED_NAMESPACES) as NamespaceFile[]).filter((file) => namespaces[file] !== undefined);
}

/** Whether the creator of the container will need it. */
export function handsOut({ host, options }: PlanContext): boolean {
  return options.waitsForStart === true && !holdsCapability(host, CAP_SYS_PTRACE);
}

/**
 * The numbers of the handles in init, from `first` upwards: the namespaces, and the root directory behind them. Empty where nothing
 * is handed out.
 */
export function handOutNumbers(context: PlanContext, first: number): number[] {
  if (!handsOut(context)) return [];
  return [...handedFiles(context.host), 'root'].map((_, index) => first + index);
}

/** Keeps the numbers taken until there are handles. */
export function reserveHandOut({ descriptors }: PlanContext, numbers: readonly number[]): Step[] {
  return numbers.map((number) =>
    call('dup3', [descriptors.sync, number, O_CLOEXEC], { label: `keep number ${number}` }),
  );
}

/** Opens the handles, through `slots.proc`: an early filter may refuse to open anything later. */
export function planHandOut(context: PlanContext, numbers: readonly number[]): Step[] {
  if (numbers.length === 0) return [];
  const { proc } = context.slots;
  const keep = (number: number, what: string, open: (result: Region) => Step): Step[] =>
    withHandle(context, { name: what, open: (handle) => [open(handle)] }, (handle) => [
      call('dup3', [handle, number, O_CLOEXEC], { label: `number it ${number}` }),
    ]);
  return [
    ...handedFiles(context.host).flatMap((file, index) =>
      keep(numbers[index] ?? -1, 'namespace', (result) =>
        call('openat', [proc, `self/ns/${file}`, O_RDONLY | O_CLOEXEC, 0], {
          label: `open the own ${HANDED_NAMESPACES[file]} namespace`,
          result,
        }),
      ),
    ),
    ...keep(numbers.at(-1) ?? -1, 'own root', (result) =>
      call('openat', [AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { label: 'open the own root', result }),
    ),
  ];
}

/** Sends them to whoever is connected. A peer that is gone, or a filter that refuses it, is no failure of init. */
export function planSendHandles(connection: Region, numbers: readonly number[]): Step {
  const control = cmsgRights(numbers, `{SCM_RIGHTS, [${numbers.join(', ')}]}`);
  const tag = tagOf('handles');
  const message = msghdr(iovec([{ of: tag, size: 8 }]), control, { shown: () => `{${tag.text}, ${control.text}}` });
  return call('sendmsg', [connection, message, MSG_NOSIGNAL | MSG_DONTWAIT], {
    label: 'hand out the namespaces and the root',
    accept: 'any',
  });
}
