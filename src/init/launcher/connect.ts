import { LAYOUT } from '../../program/layout.ts';
import { translateFlags } from '../../program/open-flags.ts';
import { CMSG_DATA, cmsgLength, UCRED_SIZE } from '../../program/structs.ts';
import {
  AF_UNIX,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  SO_PEERCRED,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
} from '../../util/constants.ts';
import { labelOf, SIGN, writeCall, writeCopy, writeStore, type Launcher } from './parts.ts';
import { HIGH_DESCRIPTOR, INPUT, OWN, WORDS } from './places.ts';

const US_PER_MS = 1000;
/** Lower ones are what people mean by them: where one is closed, the program has to find it closed. */
const LOWEST_DESCRIPTOR = 3;

/** What is passed to the kernel, all zero at first; the first packet overwrites it. */
const ADDRESS = LAYOUT.message.address;
const ADDRESS_SIZE = 110;
const PATH_AT = ADDRESS + 2;
const PATH_SIZE = 108;
/** Structures of eight-byte words, by their offset from here. */
const SCRATCH = ADDRESS + 0x80;
const MSGHDR = { vector: 16, vectorLength: 24, control: 32, controlSize: 40 } as const;
const IOVEC = 56;
const CMSG = 104;
/** And from here. HELLO: build, number of arguments, number of the socket, bytes of input. */
const HELLO = SCRATCH + 0x80;
const HELLO_SIZE = 32;
const CREDENTIALS = HELLO_SIZE;
const LENGTH = HELLO_SIZE + 16;
const TIMEOUT = HELLO_SIZE + 24;

const OPEN_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC;

/** `--ve`, as a number: how the only option begins that is a command by itself. Engines ask for it often, and no planner serves it. */
const VERSION_OPTION = 0x65762d2d;

const DIRECTORY_NAME = 'tsrun-planner';
const SYSTEM_DIRECTORY = '/run';
const USER_DIRECTORY = 'XDG_RUNTIME_DIR=';

/**
 * Connects to the planner of this user and tells it what was asked for.
 *
 *      path -> socket -> connect -> same user -> HELLO
 *        |       |          |           |          |
 *        v       v          v           v          v
 *      alone   alone        +------ disconnect ----+
 *
 * `alone` goes on without a planner and `disconnect` closes the connection before. Nothing here is waited for longer than the patience.
 */
export function writeConnect(
  launcher: Launcher,
  { socket, patienceMs }: { readonly socket: string | undefined; readonly patienceMs: number },
): void {
  const { machine } = launcher;
  machine.load('s0', 'operation', 0, 8);
  machine.jumpIfZero('s0', 'alone');
  machine.load('a3', 'operation', 16, 8);
  machine.jumpIfZero('a3', 'alone');
  machine.load('a3', 'a3', 0, 4);
  machine.set('s0', VERSION_OPTION);
  machine.jumpIfEqual('a3', 's0', 'alone');
  writeCall(launcher, 'geteuid', []);
  machine.move('operation', 'result');
  writePath(launcher, socket);
  writeReach(launcher, patienceMs);
  writeHello(launcher);
}

/** Connects to what the address names, and goes on with the descriptor in a5 when that is of this user, who is in `operation`. */
export function writeReach(launcher: Launcher, patienceMs: number): void {
  writeOpen(launcher, patienceMs);
  writeCheckUser(launcher);
}

/** Writes the family of the address, and leaves a3 where its path starts. */
export function writeFamily({ machine }: Launcher): void {
  machine.set('a3', ADDRESS);
  machine.set('s0', AF_UNIX);
  machine.storeByte('s0', 'a3');
  machine.addConstant('a3', PATH_AT - ADDRESS);
}

/** Writes the path behind the family of the address, which is AF_UNIX. `operation` is the user. */
function writePath(launcher: Launcher, socket: string | undefined): void {
  const { machine } = launcher;
  writeFamily(launcher);
  if (socket !== undefined) {
    writeCopy(launcher, 'socket', { text: socket });
    return;
  }
  machine.jumpIfZero('operation', 'system');
  writeFindVariable(launcher);
  machine.label('system');
  writeCopy(launcher, 'system directory', { text: SYSTEM_DIRECTORY });
  machine.label('below');
  writeCopy(launcher, 'socket', { text: `/${DIRECTORY_NAME}/socket` });
}

/** Copies the value of the variable, as getenv(3) finds it, to a3. */
function writeFindVariable(launcher: Launcher): void {
  const { machine } = launcher;
  machine.set('a5', OWN);
  machine.load('a5', 'a5', WORDS.environment, 8);
  machine.label('variable');
  machine.load('a4', 'a5', 0, 8);
  machine.jumpIfZero('a4', 'alone');
  machine.addConstant('a5', 8);
  machine.address('a1', labelOf(launcher, USER_DIRECTORY));
  machine.label('letter');
  machine.load('s0', 'a1', 0, 1);
  machine.load('a2', 'a4', 0, 1);
  machine.jumpIfZero('s0', 'named');
  machine.addConstant('a1', 1);
  machine.addConstant('a4', 1);
  machine.jumpIfEqual('s0', 'a2', 'letter');
  machine.jump('variable');
  machine.label('named');
  machine.set('s0', '/'.charCodeAt(0));
  machine.jumpIfEqual('a2', 's0', 'absolute');
  machine.jump('alone');
  machine.label('absolute');
  machine.set('a2', PATH_AT + PATH_SIZE - `/${DIRECTORY_NAME}/socket`.length);
  machine.label('letter of directory');
  machine.jumpIfEqual('a3', 'a2', 'alone');
  machine.load('s0', 'a4', 0, 1);
  machine.jumpIfZero('s0', 'below');
  machine.storeByte('s0', 'a3');
  machine.addConstant('a4', 1);
  machine.addConstant('a3', 1);
  machine.jump('letter of directory');
}

/** Connects, and keeps the descriptor in a5 as well. A full backlog is waited for as long as sending (man 7 socket, SO_SNDTIMEO). */
function writeOpen(launcher: Launcher, patienceMs: number): void {
  const { machine } = launcher;
  writeCall(launcher, 'socket', [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'alone');
  machine.set('a4', OWN);
  machine.store('a5', 'a4', WORDS.socket);
  machine.set('s0', LOWEST_DESCRIPTOR);
  machine.jumpIfBelow('a5', 's0', 'disconnect');
  machine.set('a3', HELLO);
  writeStore(machine, 'a3', TIMEOUT + 8, patienceMs * US_PER_MS);
  machine.addConstant('a3', TIMEOUT);
  writeCall(launcher, 'setsockopt', ['a5', SOL_SOCKET, SO_SNDTIMEO, 'a3', 16]);
  writeCall(launcher, 'setsockopt', ['a5', 'a1', SO_RCVTIMEO, 'a3', 'a4']);
  writeCall(launcher, 'connect', ['a5', ADDRESS, ADDRESS_SIZE]);
  machine.jumpIfBit('result', SIGN, 'disconnect');
}

/** Whoever listens has to be this user: what it sends is executed. */
function writeCheckUser(launcher: Launcher): void {
  const { machine } = launcher;
  machine.set('a3', HELLO);
  writeStore(machine, 'a3', LENGTH, UCRED_SIZE);
  machine.addConstant('a3', CREDENTIALS);
  writeCall(launcher, 'getsockopt', ['a5', SOL_SOCKET, SO_PEERCRED, 'a3', HELLO + LENGTH]);
  machine.jumpIfBit('result', SIGN, 'disconnect');
  machine.load('s0', 'a3', 4, 4);
  machine.jumpIfEqual('s0', 'operation', 'same user');
  machine.jump('disconnect');
  machine.label('same user');
  // Spawned processes get theirs below; this stays where it is for one that has to report that it could not be executed.
  writeCall(launcher, 'fcntl', ['a5', F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR]);
  machine.move('a4', 'result');
  machine.jumpIfBit('a4', SIGN, 'in place');
  writeCall(launcher, 'close', ['a5']);
  machine.move('a5', 'a4');
  machine.set('a4', OWN);
  machine.store('a5', 'a4', WORDS.socket);
  machine.label('in place');
}

/**
 * Sends the build, arguments and environment as they lie in memory, the input that was read, and the working directory as a descriptor; of
 * the connection in a5.
 */
export function writeHello(launcher: Launcher, { hasInput = false } = {}): void {
  const { machine, arch } = launcher;
  machine.set('a3', HELLO);
  machine.store('a5', 'a3', 16);
  machine.address('s0', 'build');
  machine.load('s0', 's0', 0, 8);
  machine.store('s0', 'a3', 0);
  machine.stackPointer('a4');
  machine.load('s0', 'a4', 0, 8);
  machine.store('s0', 'a3', 8);
  machine.set('a5', SCRATCH);
  machine.load('a1', 'a4', 8, 8);
  machine.store('a1', 'a5', IOVEC + 16);
  machine.set('a4', OWN);
  machine.load('a2', 'a4', WORDS.stringsEnd, 8);
  machine.subtract('a2', 'a1');
  machine.store('a2', 'a5', IOVEC + 24);
  machine.store('a3', 'a5', IOVEC);
  writeStore(machine, 'a5', IOVEC + 8, HELLO_SIZE);
  writeStore(machine, 'a5', MSGHDR.vector, SCRATCH + IOVEC);
  writeStore(machine, 'a5', MSGHDR.vectorLength, hasInput ? 3 : 2);
  if (hasInput) {
    machine.load('a1', 'a4', WORDS.input, 8);
    machine.store('a1', 'a3', 24);
    writeStore(machine, 'a5', IOVEC + 32, INPUT);
    machine.store('a1', 'a5', IOVEC + 40);
  }
  writeStore(machine, 'a5', MSGHDR.control, SCRATCH + CMSG);
  writeStore(machine, 'a5', MSGHDR.controlSize, cmsgLength(2));
  writeStore(machine, 'a5', CMSG, cmsgLength(1));
  // Two numbers of 32 bits, of which the lower one is level and the upper one type.
  machine.set('s0', SCM_RIGHTS);
  machine.shiftLeft('s0', 32);
  machine.addConstant('s0', SOL_SOCKET);
  machine.store('s0', 'a5', CMSG + 8);
  const flags = arch === 'arm64' ? Number(translateFlags(BigInt(OPEN_FLAGS))) : OPEN_FLAGS;
  writeCall(launcher, 'openat', [AT_FDCWD, { text: '.' }, flags]);
  machine.jumpIfBit('result', SIGN, 'disconnect');
  machine.store('result', 'a5', CMSG + CMSG_DATA);
  machine.load('a3', 'a4', WORDS.socket, 8);
  writeCall(launcher, 'sendmsg', ['a3', 'a5', MSG_NOSIGNAL]);
  machine.move('operation', 'result');
  machine.load('a3', 'a5', CMSG + CMSG_DATA, 8);
  writeCall(launcher, 'close', ['a3']);
  machine.jumpIfBit('operation', SIGN, 'disconnect');
  writeCall(launcher, 'getpid', []);
  machine.store('result', 'a4', WORDS.pid);
}
