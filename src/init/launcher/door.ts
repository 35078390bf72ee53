import { AT_FDCWD, STATX_BASIC_STATS } from '../../util/constants.ts';
import { DOOR } from '../../util/launched.ts';
import { writeFamily, writeHello, writeReach } from './connect.ts';
import { writeCompare, writeLastArgument } from './deleted.ts';
import { SIGN, writeCall, writeCopy, writeDigits, writeMemfd, writeWrite, type Launcher } from './parts.ts';
import { INPUT, INPUT_MAX, OWN, PATH, PATH_MAX, WORDS } from './places.ts';

/** struct statx, by its offsets; the device is two numbers of 32 bits. */
const STATX = { inode: 32, device: 136 } as const;
const LOAD_MAX = 120;

/**
 * Asks the shim that serves all containers of this bundle's directory, where there is one, which answers with an exit code and what is to
 * be written.
 *
 *      statx ".." -> connect -> same user -> standard input -> HELLO -> answer -> write -> exit_group
 *        |             |           |                             |        |
 *        v             v           +-------> disconnect <--------+--------+
 *      alone         alone                        |
 *                                                 +-> what was read is standard input again -> alone
 *
 * `alone` goes on without. Nothing but its input is waited for longer than the patience.
 */
export function writeDoor(
  launcher: Launcher,
  { prefix, patienceMs }: { readonly prefix: string; readonly patienceMs: number },
): void {
  const { machine } = launcher;
  writeCall(launcher, 'statx', [AT_FDCWD, { text: '..' }, 0, STATX_BASIC_STATS, INPUT]);
  machine.jumpIfBit('result', SIGN, 'alone');
  writeFamily(launcher);
  writeCopy(launcher, 'door', { text: prefix });
  machine.set('a1', INPUT);
  machine.load('a5', 'a1', STATX.inode, 8);
  writeDigits(machine, 'inode');
  writeCopy(launcher, 'between', { text: DOOR.between });
  machine.set('a1', INPUT + LOAD_MAX);
  machine.load('a5', 'a1', STATX.device - LOAD_MAX, 8);
  writeDigits(machine, 'device');
  writeCall(launcher, 'geteuid', []);
  machine.move('operation', 'result');
  writeReach(launcher, patienceMs);
  writeReadInput(launcher);
  writeHello(launcher, { hasInput: true });
  writeAnswer(launcher);
  writeDisconnect(launcher);
}

/** Reads the options of `start`, to their end: nobody can read them twice. Leaves the connection in a5. */
function writeReadInput(launcher: Launcher): void {
  const { machine } = launcher;
  machine.stackPointer('operation');
  machine.set('a1', INPUT);
  writeLastArgument(machine);
  writeCompare(launcher, { text: 'start', otherwise: 'input end' });
  machine.label('input');
  machine.set('a2', INPUT + INPUT_MAX);
  machine.subtract('a2', 'a1');
  machine.jumpIfZero('a2', 'input end');
  writeCall(launcher, 'read', [0, 'a1', 'a2']);
  machine.move('s0', 'result');
  machine.jumpIfBit('s0', SIGN, 'input end');
  machine.jumpIfZero('s0', 'input end');
  machine.add('a1', 's0');
  machine.jump('input');
  machine.label('input end');
  machine.set('s0', INPUT);
  machine.subtract('a1', 's0');
  machine.set('a4', OWN);
  machine.store('a1', 'a4', WORDS.input);
  machine.load('a5', 'a4', WORDS.socket, 8);
}

/** Carries out what is answered. */
function writeAnswer(launcher: Launcher): void {
  const { machine } = launcher;
  machine.set('a5', OWN);
  machine.load('a5', 'a5', WORDS.socket, 8);
  writeCall(launcher, 'read', ['a5', PATH, PATH_MAX]);
  machine.move('a2', 'result');
  machine.jumpIfBit('a2', SIGN, 'disconnect');
  machine.jumpIfZero('a2', 'disconnect');
  machine.set('a1', PATH);
  machine.load('a4', 'a1', 0, 1);
  machine.set('a3', 1);
  machine.add('a1', 'a3');
  machine.subtract('a2', 'a3');
  writeCall(launcher, 'write', [1, 'a1', 'a2']);
  writeCall(launcher, 'exit_group', ['a4']);
}

/** Whoever reads standard input next finds what was there. */
function writeDisconnect(launcher: Launcher): void {
  const { machine } = launcher;
  machine.label('disconnect');
  machine.set('a5', OWN);
  machine.load('a5', 'a5', WORDS.socket, 8);
  writeCall(launcher, 'close', ['a5']);
  machine.set('a3', OWN);
  machine.load('a3', 'a3', WORDS.input, 8);
  machine.jumpIfZero('a3', 'alone');
  writeMemfd(launcher, 'tsrun-options');
  machine.set('a1', INPUT);
  machine.move('a2', 'a3');
  writeWrite(launcher, 'input');
  writeCall(launcher, 'lseek', ['a5', 0, 0]);
  writeCall(launcher, 'dup3', ['a5', 0, 0]);
  writeCall(launcher, 'close', ['a5']);
  machine.label('alone');
}
