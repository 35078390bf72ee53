import { addressOf, at, block, call } from '../../program/build.ts';
import type { Program } from '../../program/step.ts';
import { AT_FDCWD, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY } from '../../util/constants.ts';
import type { Errno } from '../../util/errno.ts';
import { utf8 } from '../../util/utf8.ts';
import { EXCHANGES, LOOK_BYTES } from '../base/exchanges.ts';
import { tagOf } from '../base/reply.ts';

/**
 * A program that was found and cannot be executed: what an init is asked and told that has failed to become it. It looks at files as the
 * one that it is by then, in the root, the namespaces and with the rights of the program.
 *
 *     execve fails -> `unfit` -> look at a file -> `look` -> ... -> say it on standard error, and end
 */

/** What execve(2) answers to a file that was found, and what that means where nothing more is known: the errno is that of another file. */
export const UNFIT_BECAUSE = {
  ENOENT: 'the interpreter that it names, in its "#!" line or as its dynamic loader, is not in the rootfs',
  ENOTDIR: 'the path of the interpreter that it names, in its "#!" line or as its dynamic loader, leads through a file',
  ENOEXEC: 'it is a program for another architecture, or a script without a "#!" line',
} as const satisfies Partial<Record<Errno, string>>;

/** An errno of an unfit program. */
export type UnfitErrno = keyof typeof UNFIT_BECAUSE;
/** All of them. */
export const UNFIT = Object.keys(UNFIT_BECAUSE) as UnfitErrno[];
/** The exit code of runc and crun for it. */
export const UNFIT_CODE = 1;

/** Reads a file from a place on; answered by `look`. */
export function planLook(sync: number, { path, offset }: { readonly path: string; readonly offset: number }): Program {
  const found = new Uint8Array(8 * (1 + EXCHANGES.look.words));
  found.set(tagOf('look').bytes);
  const answer = block(found, 'what is there');
  const [file, result] = [at(answer, 8), at(answer, 16)];
  const shown = JSON.stringify(path);
  // A FIFO keeps nobody waiting.
  const flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  return {
    name: `look at ${shown}`,
    replies: true,
    reply: EXCHANGES.look,
    steps: [
      call('openat', [AT_FDCWD, path, flags, 0], { label: `open ${shown}`, accept: 'any', result: file }),
      call('pread64', [file, addressOf(answer, 24), LOOK_BYTES, offset], {
        label: `read ${shown}`,
        accept: 'any',
        result,
      }),
      call('close', [file], { label: `close ${shown}`, accept: 'any' }),
      call('write', [sync, answer, found.length], { label: 'tell what is there' }),
    ],
  };
}

/** The end of a container whose program cannot be run. */
export function planSayUnfit(message: string): Program {
  const text = utf8(message);
  return {
    name: 'say why the program cannot be run',
    replies: false,
    steps: [
      call('write', [2, block(text, 'what is wrong'), text.length], { label: 'say what is wrong', accept: 'any' }),
      call('exit_group', [UNFIT_CODE], { label: 'end as a program that could not be run' }),
    ],
  };
}
