import { emitInit } from '../init/image.ts';
import type { Arch } from '../program/calls.ts';
import { encode } from '../program/encode.ts';
import type { Program } from '../program/step.ts';
import { becomeExecutable } from '../sys/process/exec.ts';
import { setCloseOnExec } from '../sys/fd.ts';
import { sendMessage, socketPair } from '../sys/socket.ts';
import { INIT_IMAGE_NAME } from './init-name.ts';
import { sealImage } from './spawned.ts';

/** The image that takes this process's place, and the descriptors that stay open in it. */
export interface LeaveOptions {
  readonly arch: Arch;
  /** Descriptors that the program uses. */
  readonly kept: readonly number[];
}

/**
 * This process becomes init's image in its place and executes a program of one packet. It returns where that cannot be: nothing has
 * happened then.
 */
export function leave(program: Program, { arch, kept }: LeaveOptions): void {
  const [ours, theirs] = socketPair('seqpacket');
  using _ours = ours;
  using sync = theirs;
  const [packet, ...more] = encode(program, { arch, syncFd: sync.number });
  if (packet === undefined || more.length > 0) return;
  using image = sealImage(emitInit({ arch, syncFd: sync.number }));
  if (image === undefined) return;
  // It waits there until the image reads it, whoever has closed the other end.
  sendMessage(ours.number, packet.bytes);
  const all = [sync.number, ...kept];
  for (const fd of all) setCloseOnExec(fd, { closes: false });
  becomeExecutable(image.number, INIT_IMAGE_NAME);
  for (const fd of all) setCloseOnExec(fd);
}
