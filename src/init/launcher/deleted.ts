import { translateFlags } from '../../program/open-flags.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
} from '../../util/constants.ts';
import { DELETED } from '../../util/launched.ts';
import type { Machine } from '../assembler.ts';
import { labelOf, SIGN, writeCall, type Launcher } from './parts.ts';
import { INPUT } from './places.ts';

const OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
/** struct statx, by its offsets. */
const STATX = { uid: 20, mode: 28, size: 40 } as const;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Answers `delete` of a container that a shim has removed already: what that left for this in the bundle, which is the working directory.
 *
 *      last argument is "delete" -> open -> a small file of this user -> read -> write -> exit_group
 *                  |                  |              |                     |
 *                  +------------------+--------------+---------------------+----> not deleted
 */
export function writeDeleted(launcher: Launcher): void {
  const { machine, arch } = launcher;
  writeLastArgument(machine);
  writeCompare(launcher, { text: 'delete', otherwise: 'not deleted' });
  const flags = arch === 'arm64' ? Number(translateFlags(BigInt(OPEN_FLAGS))) : OPEN_FLAGS;
  writeCall(launcher, 'openat', [AT_FDCWD, { text: DELETED.file }, flags]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'not deleted');
  writeCheckFile(launcher);
  writeCall(launcher, 'read', ['a5', INPUT, DELETED.bytesMax]);
  machine.move('a2', 'result');
  machine.jumpIfBit('a2', SIGN, 'not deleted');
  machine.jumpIfZero('a2', 'not deleted');
  writeCall(launcher, 'write', [1, INPUT, 'a2']);
  writeCall(launcher, 'exit_group', [0]);
  machine.label('not deleted');
}

/** The last argument in a5; 0 where there is none. `operation` is at their number. */
export function writeLastArgument(machine: Machine): void {
  machine.load('a5', 'operation', 0, 8);
  machine.shiftLeft('a5', 3);
  machine.add('a5', 'operation');
  machine.load('a5', 'a5', 0, 8);
}

/** Goes on where a5 points to the text, and elsewhere otherwise. Of one text only once in a launcher. */
export function writeCompare(
  launcher: Launcher,
  { text, otherwise }: { readonly text: string; readonly otherwise: string },
): void {
  const { machine } = launcher;
  machine.jumpIfZero('a5', otherwise);
  machine.move('a4', 'a5');
  machine.address('a3', labelOf(launcher, text));
  machine.label(`compare ${text}`);
  machine.load('s0', 'a3', 0, 1);
  machine.load('a2', 'a4', 0, 1);
  machine.jumpIfEqual('s0', 'a2', `same letter of ${text}`);
  machine.jump(otherwise);
  machine.label(`same letter of ${text}`);
  machine.addConstant('a3', 1);
  machine.addConstant('a4', 1);
  machine.jumpIfZero('s0', `compared ${text}`);
  machine.jump(`compare ${text}`);
  machine.label(`compared ${text}`);
}

/** The file in a5 is a regular one of this user, which nobody else can write, and no longer than what is read. */
function writeCheckFile(launcher: Launcher): void {
  const { machine } = launcher;
  writeCall(launcher, 'statx', ['a5', { text: '' }, AT_EMPTY_PATH, STATX_BASIC_STATS, INPUT]);
  machine.jumpIfBit('result', SIGN, 'not deleted');
  writeCall(launcher, 'geteuid', []);
  machine.move('a4', 'result');
  machine.set('a3', INPUT);
  machine.load('s0', 'a3', STATX.uid, 4);
  machine.jumpIfEqual('s0', 'a4', 'own file');
  machine.jump('not deleted');
  machine.label('own file');
  machine.load('s0', 'a3', STATX.mode, 2);
  machine.set('a4', S_IFMT | WRITABLE_BY_OTHERS);
  machine.and('s0', 'a4');
  machine.set('a4', S_IFREG);
  machine.jumpIfEqual('s0', 'a4', 'plain file');
  machine.jump('not deleted');
  machine.label('plain file');
  machine.load('s0', 'a3', STATX.size, 8);
  machine.set('a4', DELETED.bytesMax + 1);
  machine.jumpIfBelow('s0', 'a4', 'small file');
  machine.jump('not deleted');
  machine.label('small file');
}
