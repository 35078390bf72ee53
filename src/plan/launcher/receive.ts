import { at, block, call, equals, failWhen, not } from '../../program/build.ts';
import { alignUp } from '../../program/bytes.ts';
import type { Block, Region, Step } from '../../program/step.ts';
import { CMSG_DATA, cmsgLength, iovec, msghdr } from '../../program/structs.ts';
import { F_DUPFD_CLOEXEC, MSG_CMSG_CLOEXEC } from '../../util/constants.ts';
import type { LauncherContext } from './context.ts';

const SOME_BYTES = 8;

/**
 * Receives descriptors, which come as an array of 32 bits each with a message of up to 8 bytes that the planner sends right behind the
 * program, and go to words. None of them is below `lowest`.
 */
export function planReceive({ socket, word }: LauncherContext, words: readonly Region[], lowest: number): Step[] {
  const bytes = word('with the descriptors');
  const control = roomForRights(words.length);
  const message = msghdr(iovec([{ of: bytes, size: SOME_BYTES }]), control, {
    shown: () => `{${control.text}}`,
    controlSize: alignUp(cmsgLength(words.length)),
  });
  return [
    call('recvmsg', [socket, message, MSG_CMSG_CLOEXEC], { label: `receive ${words.length} descriptors` }),
    failWhen(
      not(equals(at(control, 0), BigInt(cmsgLength(words.length)), { text: `${words.length} descriptors came` })),
      'EBADMSG',
      { label: 'count the descriptors' },
    ),
    ...words.flatMap((moved, index) => {
      // The kernel takes the lower 32 bits of a descriptor.
      const number = at(control, CMSG_DATA + index * 4);
      return [
        call('fcntl', [number, F_DUPFD_CLOEXEC, lowest], {
          label: `move ${moved.name} above all targets`,
          result: moved,
        }),
        call('close', [number], { label: `close ${moved.name} where it was` }),
      ];
    }),
  ];
}

/** A control message to be filled; the last descriptor is read as 8 bytes. */
function roomForRights(count: number): Block {
  return block(new Uint8Array(alignUp(cmsgLength(count) + 4)), `${count} descriptors`);
}
