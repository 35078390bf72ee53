import { block, call, isNegative, isZero, stringArray, unless, when } from '../program/build.ts';
import { Memory, type Program } from '../program/step.ts';
import { MSG_NOSIGNAL, MSG_PEEK } from '../util/constants.ts';
import { iovec, msghdr } from '../program/structs.ts';
import type { Config } from '../spec/generated/config.ts';

/** What is executed when the program did not start, to say why. */
export interface Engine {
  /** Absolute. */
  readonly path: string;
  readonly args: readonly string[];
  /** Entries `NAME=value`. */
  readonly environment: readonly string[];
}

/** The last packet of `start`, and what to execute in case it has an answer. */
export interface Leaving {
  /** Descriptor of the connection with the container's init. */
  readonly connection: number;
  /** The packet behind which init becomes the container's program. */
  readonly packet: Uint8Array;
  readonly engine: Engine;
}

/** Whether `start` has nothing left to do once the program runs. */
export function endsWithItsProgram({ hooks }: Pick<Config, 'hooks'>): boolean {
  return (hooks?.poststart ?? []).length === 0;
}

/** Whether `start` tells init nothing but to become the program, and has nothing left to do then. */
export function isToldOnce(config: Pick<Config, 'hooks'>): boolean {
  return (config.hooks?.startContainer ?? []).length === 0 && endsWithItsProgram(config);
}

const STDERR = 2;
const LOST = 'tsrun: the program did not start, and what would say why cannot be executed\n';

/**
 * The end of `start` in a process that is init's own image in place of the engine: when the program runs there is no engine left whose
 * memory the kernel would have to take down before the caller sees that `start` is over.
 *
 *     send the packet -> wait -> end of file: exit
 *                          |
 *                          +---> anything else: execve the engine, which finds the answer where it is
 */
export function planLeave({ connection, packet, engine }: Leaving): Program {
  const memory = new Memory();
  const answer = memory.word('answer');
  const vector = iovec([{ of: block(packet, 'packet'), size: packet.length }]);
  const room = iovec([{ of: memory.word('first bytes'), size: 1 }]);
  return {
    name: 'leave',
    replies: false,
    steps: [
      call('sendmsg', [connection, msghdr(vector, undefined, { shown: '{packet}' }), MSG_NOSIGNAL], {
        label: 'have init become the program',
        result: answer,
        accept: 'any',
      }),
      ...unless(isNegative(answer), [
        call('recvmsg', [connection, msghdr(room, undefined, { shown: '{first bytes}' }), MSG_PEEK], {
          label: 'wait until it is the program',
          result: answer,
          accept: 'any',
        }),
      ]),
      ...when(isZero(answer), [call('exit_group', [0], { label: 'the program runs' })]),
      call('execve', [engine.path, stringArray(engine.args), stringArray(engine.environment)], {
        label: 'execute the engine',
        accept: 'any',
      }),
      call('write', [STDERR, LOST, LOST.length], { label: 'say so', accept: 'any' }),
      call('exit_group', [1], { label: 'end' }),
    ],
  };
}
