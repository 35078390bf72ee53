import { block, call, isNegative, isZero, unless, when } from '../../program/build.ts';
import { REPLY_SIZE } from '../../program/layout.ts';
import type { Program, Step } from '../../program/step.ts';
import { iovec, msghdr, seconds, TIME_SIZE, unixAddress } from '../../program/structs.ts';
import {
  AF_UNIX,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  SO_SNDTIMEO,
} from '../../util/constants.ts';
import { answer, answered, type LauncherContext } from './context.ts';
import { TOLD_MORE_BYTES } from './exchanges.ts';
import { planReceive } from './receive.ts';

/** An init that waits for `start`, and what it is told. */
export interface TellOptions {
  /** Path of its socket, which is taken away, in the directory whose descriptor comes behind the program (`planReceive`). */
  readonly socketName: string;
  /** What it knows the one by that may start the container; undefined where the user is enough. */
  readonly token: Uint8Array | undefined;
  /** The packet behind which it becomes the program. */
  readonly packet: Uint8Array;
  /** The launcher ends, with 0, when it has; nothing else is left to be done then. */
  readonly isLast: boolean;
}

/** A full backlog is waited for so long. */
const PATIENCE_S = 10;
/** Words that stay for what init is told afterwards. */
const CONNECTION = 'connection with init';
const RESULT = 'what init was told';

/**
 * Has a waiting init become its program, in one go: whatever happens to the planner meanwhile, init is either not touched or told
 * everything. It would end with the connection of one that ends in between. The answer is `told`.
 *
 *     connect -> take the socket away -> send the packet -> wait -> end of file: answer (and end)
 *                                                            +----> a report:    answer
 */
export function planTell(context: LauncherContext, { socketName, token, packet, isLast }: TellOptions): Program {
  const directory = context.word('state directory');
  const file = context.word('socket of init');
  const connection = context.word(CONNECTION);
  const result = context.word(RESULT);
  const report = block(new Uint8Array(REPLY_SIZE), 'report of init');
  // A path of any length has a short one through its descriptor, whose number has to be known.
  const number = context.socket + 1;
  const address = unixAddress(`/proc/self/fd/${number}`);
  const vector = iovec([{ of: block(packet, `packet of ${packet.length} bytes`), size: packet.length }]);
  const told = answer(context, 'told', 'tell how that went', [result, report]);
  return answered('start', 'told', [
    ...planReceive(context, [directory], number + 1),
    call('openat', [directory, socketName, O_PATH | O_NOFOLLOW | O_CLOEXEC], { label: 'find init', result: file }),
    // EINVAL: it has that number already.
    call('dup3', [file, number, O_CLOEXEC], { label: 'name its socket', accept: ['EINVAL'] }),
    call('socket', [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0], { label: 'make a socket', result: connection }),
    call('setsockopt', [connection, SOL_SOCKET, SO_SNDTIMEO, seconds(PATIENCE_S), TIME_SIZE], {
      label: 'bound the time of connecting',
    }),
    call('connect', [connection, address, address.bytes.length], { label: 'connect to init' }),
    ...(token === undefined ? [] : planShow(connection, token)),
    call('unlinkat', [directory, socketName, 0], { label: 'let nobody else find it', accept: ['ENOENT'] }),
    call('sendmsg', [connection, msghdr(vector, undefined, { shown: () => `{${vector.text}}` }), MSG_NOSIGNAL], {
      label: 'have init become the program',
      accept: 'any',
      result,
    }),
    ...unless(isNegative(result), [
      call('read', [connection, report, REPLY_SIZE], { label: 'wait until it is the program', accept: 'any', result }),
    ]),
    // Whoever does not hear of it any more has nothing to do about it.
    ...(isLast
      ? when(isZero(result), [{ ...told, accept: 'any' as const }, call('exit_group', [0], { label: 'end' })])
      : []),
    told,
  ]);
}

/** Has an init that was told, and waits again, execute another packet. The answer is `told-more`. */
export function planTellMore(context: LauncherContext, packet: Uint8Array): Program {
  const connection = context.word(CONNECTION);
  const result = context.word(RESULT);
  const report = block(new Uint8Array(TOLD_MORE_BYTES), 'answer of init');
  const vector = iovec([{ of: block(packet, `packet of ${packet.length} bytes`), size: packet.length }]);
  return answered('tell more', 'told-more', [
    call('sendmsg', [connection, msghdr(vector, undefined, { shown: () => `{${vector.text}}` }), MSG_NOSIGNAL], {
      label: 'tell init more',
      accept: 'any',
      result,
    }),
    ...unless(isNegative(result), [
      call('read', [connection, report, TOLD_MORE_BYTES], { label: 'wait for its answer', accept: 'any', result }),
    ]),
    answer(context, 'told-more', 'tell how that went', [result, report]),
  ]);
}

function planShow(connection: ReturnType<LauncherContext['word']>, token: Uint8Array): Step[] {
  return [
    call('sendto', [connection, block(token, 'token'), token.length, MSG_NOSIGNAL, 0, 0], {
      label: 'show who starts',
    }),
  ];
}
