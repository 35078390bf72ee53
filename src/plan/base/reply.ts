import { block, call, describePlace, words } from '../../program/build.ts';
import type { Block, Place, Region, Step } from '../../program/step.ts';
import { O_CLOEXEC, SCM_RIGHTS, SOL_SOCKET } from '../../util/constants.ts';
import type { DescriptorNumbers } from './context.ts';

/** What init's replies mean; 0 and 1 belong to the format itself (program/FORMAT.md). */
export const TAG = {
  /** In its user namespace, waiting for the id maps. */
  idMaps: 16n,
  /** The container's process exists: its pid as the runtime sees it. */
  pid: 17n,
  /** Rootfs prepared, not entered. */
  rootfs: 18n,
  /** A freshly mounted tmpfs and the directory below it, as two descriptors, to be filled. */
  copyUp: 19n,
  /** The master side of the console, as a descriptor. */
  console: 20n,
  /** /etc/passwd of the container, as a descriptor, or none. */
  passwd: 21n,
  /** Everything is done. */
  ready: 22n,
  /** A hook runs: init's pid as its namespace sees it, and the descriptors of `planStartHook`. */
  hookStarted: 23n,
  /** A netlink socket of the container's network namespace, as a descriptor. */
  netlink: 25n,
  /** How a hook ended: the status word of wait4(2). */
  hookEnded: 24n,
  /** Started, not in the container's cgroup yet. */
  cgroup: 26n,
  /** The seccomp filter is loaded: the number of its listener. */
  seccomp: 27n,
  /** The rootfs was moved onto `/`, and not entered: struct statx of its mount. */
  hostMounts: 28n,
  /** Handles of the namespaces of a waiting init and of its root, as descriptors. */
  handles: 29n,
} as const;

/** `write` of a tag alone, or with the values of some words behind it. */
export function reply(sync: number, tag: bigint, label: string, values: readonly (Region | Place)[] = []): Step {
  const tagWord = words([tag], `tag ${tag}`);
  if (values.length === 0) return call('write', [sync, tagWord, 8], { label });
  const vector = iovec([{ of: tagWord, size: 8 }, ...values.map((value) => ({ of: value, size: valueSize(value) }))]);
  return call('writev', [sync, vector, values.length + 1], { label });
}

function valueSize(value: Region | Place): number {
  return value.kind === 'region' ? value.size : 8;
}

interface Part {
  readonly of: Block | Region | Place;
  readonly size: number;
}

/** struct iovec[]: pointer and length of each part. Source: man 2 writev. */
function iovec(parts: readonly Part[]): Block {
  const bytes = new Uint8Array(parts.length * 16);
  const view = new DataView(bytes.buffer);
  const links = parts.map(({ of, size }, index) => {
    view.setBigUint64(index * 16 + 8, BigInt(size), true);
    if (of.kind === 'place') throw new Error(`bug: ${describePlace(of)} cannot be linked to`);
    return { at: index * 16, to: of };
  });
  const shown = parts.map(({ of }) => (of.kind === 'block' ? of.text : describePlace(of)));
  return block(bytes, `[${shown.join(', ')}]`, links);
}

/**
 * Sends a tag together with one or two descriptors (SCM_RIGHTS).
 *
 * A descriptor's number is known only when init runs, but the control message has to name it: so it is duplicated to a number
 * that is kept for such use. `reserveScratch` belongs at the start of the next program, since nothing may follow a reply.
 */
export function replyWithDescriptors(
  numbers: DescriptorNumbers,
  tag: bigint,
  label: string,
  descriptors: readonly Region[],
): Step[] {
  const scratch = numbers.scratch.slice(0, descriptors.length);
  const control = controlMessage(scratch, scratch.join(', '));
  const vector = iovec([{ of: words([tag], `tag ${tag}`), size: 8 }]);
  const message = messageHeader(vector, 1, control, `{tag ${tag}, ${control.text}}`);
  return [
    ...descriptors.map((word, index) =>
      call('dup3', [word, scratch[index] ?? -1, O_CLOEXEC], { label: `number ${word.name} ${scratch[index] ?? -1}` }),
    ),
    call('sendmsg', [numbers.sync, message, 0], { label }),
  ];
}

/** Where a control message has its first descriptor. */
export const CONTROL_DESCRIPTOR = 16;

/**
 * A message of a tag and one descriptor, whose number a step is to write into the control message, at `CONTROL_DESCRIPTOR`. Whoever
 * receives it finds the number in the last word of the data: the control message is sent as data too.
 */
export function descriptorMessage(tag: bigint, what: string): { readonly message: Block; readonly control: Block } {
  const control = controlMessage([0], what);
  const parts = [
    { of: words([tag], `tag ${tag}`), size: 8 },
    { of: control, size: control.bytes.length },
  ];
  return { message: messageHeader(iovec(parts), parts.length, control, `{tag ${tag}, ${control.text}}`), control };
}

/** struct cmsghdr: u64 length, i32 level, i32 type, then the descriptors as i32, padded to 8 bytes. */
function controlMessage(numbers: readonly number[], shown: string): Block {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(CONTROL_DESCRIPTOR + numbers.length * 4), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  numbers.forEach((number, index) => {
    view.setInt32(CONTROL_DESCRIPTOR + index * 4, number, true);
  });
  return block(bytes, `{SCM_RIGHTS, [${shown}]}`);
}

/** struct msghdr: name, namelen, iov, iovlen, control, controllen, flags. */
function messageHeader(vector: Block, parts: number, control: Block, shown: string): Block {
  return words([0, 0, vector, parts, control, control.bytes.length, 0], shown);
}
