import { block, call, describePlace, words } from '../../program/build.ts';
import type { Block, Place, Region, Step } from '../../program/step.ts';
import { O_CLOEXEC, SCM_RIGHTS, SOL_SOCKET } from '../../util/constants.ts';
import type { DescriptorNumbers } from './context.ts';
import { EXCHANGES, type ReplyName } from './exchanges.ts';

/** `write` of a tag alone, or with the values of some words behind it. */
export function reply(sync: number, name: ReplyName, label: string, values: readonly (Region | Place)[] = []): Step {
  const tag = tagOf(name);
  if (values.length === 0) return call('write', [sync, tag, 8], { label });
  const vector = iovec([{ of: tag, size: 8 }, ...values.map((value) => ({ of: value, size: valueSize(value) }))]);
  return call('writev', [sync, vector, values.length + 1], { label });
}

/** The word that an answer starts with. */
export function tagOf(name: ReplyName): Block {
  const { tag } = EXCHANGES[name];
  return words([tag], `tag ${tag}`);
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
  name: ReplyName,
  label: string,
  descriptors: readonly Region[],
): Step[] {
  const scratch = numbers.scratch.slice(0, descriptors.length);
  const control = controlMessage(scratch, scratch.join(', '));
  const tag = tagOf(name);
  const vector = iovec([{ of: tag, size: 8 }]);
  const message = messageHeader(vector, 1, control, `{${tag.text}, ${control.text}}`);
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
export function descriptorMessage(name: ReplyName, what: string): { readonly message: Block; readonly control: Block } {
  const control = controlMessage([0], what);
  const tag = tagOf(name);
  const parts = [
    { of: tag, size: 8 },
    { of: control, size: control.bytes.length },
  ];
  return { message: messageHeader(iovec(parts), parts.length, control, `{${tag.text}, ${control.text}}`), control };
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
