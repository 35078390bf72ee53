import { readArch } from '../../host/facts.ts';
import { planLeave } from '../../plan/leave.ts';
import type { Conversation } from '../../process/conversation.ts';
import { leave as become } from '../../process/leave.ts';
import type { Program } from '../../program/step.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { writeFully } from '../../sys/io.ts';
import { createMemfd } from '../../sys/memfd.ts';

/** How a process becomes the engine again. */
export interface Again {
  /** What a file has to hold that tells it the descriptor of the answer. */
  readonly handOver: (answer: number) => Uint8Array;
  /** The engine's environment, which names that file. */
  readonly environment: (file: number) => readonly string[];
}

/** The engine, for a process that does nothing but start one container and may end in the place where it is. */
export interface Leave extends Again {
  /** Absolute. */
  readonly path: string;
  /** argv of execve(2). */
  readonly args: readonly string[];
}

/** What only the command asks of `start`: its process does nothing else, and may become another image before the program runs. */
export interface LeaveOptions {
  readonly leave?: Leave;
  /** The descriptor of init's answer, in a process that has left and is the engine again: all that remains is to tell the failure. */
  readonly answer?: number;
}

/**
 * Has init become the program, and ends this process when it is. What goes wrong is told by the engine, executed anew, whose
 * `start` goes on with `LeaveOptions.answer`. It returns where there is no such way: nothing has happened then.
 */
export function leaveWith(conversation: Conversation, program: Program, engine: Leave, lock: OwnedFd): void {
  const handed = conversation.handOver(program);
  if (handed === undefined) return;
  const { connection, packet } = handed;
  using file = createMemfd('tsrun-environment');
  writeFully(file.number, engine.handOver(connection));
  const { path, args } = engine;
  const plan = planLeave({ connection, packet, engine: { path, args, environment: engine.environment(file.number) } });
  become(plan, { arch: readArch(), kept: [connection, lock.number, file.number] });
}
