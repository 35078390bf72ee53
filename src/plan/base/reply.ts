import { call, wordBlock } from '../../program/build.ts';
import type { Block, Place, Region, Step } from '../../program/step.ts';
import { O_CLOEXEC } from '../../util/constants.ts';
import type { DescriptorNumbers } from './context.ts';
import { EXCHANGES, type ReplyName } from './exchanges.ts';
import { cmsgRights, iovec, msghdr } from '../../program/structs.ts';

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
  return wordBlock([tag], `tag ${tag}`);
}

function valueSize(value: Region | Place): number {
  return value.kind === 'region' ? value.size : 8;
}

/**
 * Sends a tag together with one or two descriptors (SCM_RIGHTS).
 *
 * A descriptor's number is known only when init runs, but the control message has to name it: so it is duplicated to a number
 * that is kept for such use. `reserveScratch` belongs at the start of the next program, since nothing that may fail can follow a reply.
 */
export function replyWithDescriptors(
  numbers: DescriptorNumbers,
  name: ReplyName,
  label: string,
  descriptors: readonly Region[],
): Step[] {
  const scratch = numbers.scratch.slice(0, descriptors.length);
  const control = rights(scratch, scratch.join(', '));
  const tag = tagOf(name);
  const vector = iovec([{ of: tag, size: 8 }]);
  const message = msghdr(vector, control, { shown: () => `{${tag.text}, ${control.text}}` });
  return [
    ...descriptors.map((word, index) =>
      call('dup3', [word, scratch[index] ?? -1, O_CLOEXEC], { label: `number ${word.name} ${scratch[index] ?? -1}` }),
    ),
    call('sendmsg', [numbers.sync, message, 0], { label }),
  ];
}

/**
 * A message of a tag and one descriptor, whose number a step is to write into the control message, at `CMSG_DATA`. Whoever
 * receives it finds the number in the last word of the data: the control message is sent as data too.
 */
export function descriptorMessage(name: ReplyName, what: string): { readonly message: Block; readonly control: Block } {
  const control = rights([0], what);
  const tag = tagOf(name);
  const parts = [
    { of: tag, size: 8 },
    { of: control, size: control.bytes.length },
  ];
  return { message: msghdr(iovec(parts), control, { shown: () => `{${tag.text}, ${control.text}}` }), control };
}

function rights(numbers: readonly number[], shown: string): Block {
  return cmsgRights(numbers, `{SCM_RIGHTS, [${shown}]}`);
}
