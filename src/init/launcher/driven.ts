import { FORMAT_VERSION, LAUNCHER_LAYOUT, LAYOUT, OFFSETS, PACKET_HEADER_SIZE } from '../../program/layout.ts';
import { F_SETFD } from '../../util/constants.ts';
import { ERRNO } from '../../util/errno.ts';
import { LAUNCHED } from '../../util/launched.ts';
import { writeExit, writeLoop } from '../interpreter.ts';
import { writeCall, type Launcher } from './parts.ts';
import { HEADER, OWN, WORDS } from './places.ts';

/**
 * The interpreter of the launcher, which differs from init's in what follows `receive`; FORMAT.md says why.
 *
 *      receive -> a packet: keep its will -> enter -> next -> ... -> receive
 *         |                                    ^
 *         +-----> silence -> program at LOOK --+
 *         |          | none
 *         v          v
 *        gone, not this process -> exit
 *         |
 *         +-> no will -> disconnect -> alone
 *         +-> a will: keep the connection -> alone
 */
export function writeDriven(launcher: Launcher): void {
  const { machine, arch } = launcher;
  writeLoop(machine, {
    arch,
    sync: { word: OWN + WORDS.socket },
    end: OWN + WORDS.end,
    isQuiet: true,
    writeReceived: () => {
      writeReceived(launcher);
    },
  });
  writeGone(launcher);
}

/** Comes with the errno plus EINTR in `result`, and at `received` with the bytes that there are. */
function writeReceived({ machine }: Launcher): void {
  machine.addConstant('result', ERRNO.EAGAIN - ERRNO.EINTR);
  machine.jumpIfZero('result', 'silence');
  machine.jump('gone');
  machine.label('silence');
  machine.set('operation', LAUNCHER_LAYOUT.look.address);
  machine.load('s0', 'operation', OFFSETS.end, 8);
  machine.jumpIfZero('s0', 'gone');
  machine.jump('enter');
  machine.label('received');
  // What is no packet is from nobody who knows what this launcher is.
  machine.set('s0', PACKET_HEADER_SIZE);
  machine.jumpIfBelow('result', 's0', 'gone');
  machine.set('operation', LAYOUT.message.address);
  machine.move('a1', 'result');
  machine.add('a1', 'operation');
  machine.load('s0', 'operation', OFFSETS.end, 8);
  machine.jumpIfBelow('a1', 's0', 'gone');
  machine.load('s0', 'operation', OFFSETS.version, 4);
  machine.set('a1', FORMAT_VERSION);
  machine.jumpIfEqual('s0', 'a1', 'packet');
  machine.jump('gone');
  machine.label('packet');
  machine.load('s0', 'operation', OFFSETS.will, 4);
  machine.set('a1', OWN);
  machine.store('s0', 'a1', WORDS.will);
  machine.label('enter');
  machine.load('s0', 'operation', OFFSETS.end, 8);
  machine.set('a1', OWN);
  machine.store('s0', 'a1', WORDS.end);
  machine.addConstant('operation', PACKET_HEADER_SIZE);
}

/** A process that shares this one's memory until it executes something is not to do the command as well. */
function writeGone(launcher: Launcher): void {
  const { machine, arch } = launcher;
  machine.label('gone');
  writeCall(launcher, 'getpid', []);
  machine.set('a5', OWN);
  machine.load('s0', 'a5', WORDS.pid, 8);
  machine.jumpIfEqual('result', 's0', 'this process');
  writeExit(machine, arch);
  machine.label('this process');
  machine.load('a4', 'a5', WORDS.will, 8);
  machine.load('a5', 'a5', WORDS.socket, 8);
  machine.jumpIfZero('a4', 'disconnect');
  machine.set('a3', HEADER);
  machine.store('a4', 'a3', LAUNCHED.will);
  machine.store('a5', 'a3', LAUNCHED.planner);
  writeCall(launcher, 'fcntl', ['a5', F_SETFD, 0]);
  machine.jump('alone');
  machine.label('disconnect');
  machine.set('a5', OWN);
  machine.load('a5', 'a5', WORDS.socket, 8);
  writeCall(launcher, 'close', ['a5']);
  machine.label('alone');
}
