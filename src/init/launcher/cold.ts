import { AT_FDCWD, F_ADD_SEALS, F_DUPFD, RLIMIT_NOFILE, R_OK } from '../../util/constants.ts';
import { ERRNO, type Errno } from '../../util/errno.ts';
import { ENGINE_FILE, LAUNCHED } from '../../util/launched.ts';
import type { Machine } from '../assembler.ts';
import {
  labelOf,
  SIGN,
  writeCall,
  writeCopy,
  writeDigits,
  writeMemfd,
  writePrint,
  writeText,
  writeWrite,
  type Launcher,
} from './parts.ts';
import {
  ARGUMENTS,
  DIRECTORY,
  ENVIRONMENT,
  HEADER,
  HIGH_DESCRIPTOR,
  OWN,
  PATH,
  PATH_MAX,
  VARIABLE,
  WORDS,
} from './places.ts';

/**
 * What the launcher does by itself, from the label `alone` on: it executes the engine, with an environment in which nothing of the
 * caller's is left. The engine would take code and settings from it (BUN_OPTIONS, BUN_BE_BUN, BUN_JSC_*, LD_PRELOAD); container and
 * hooks get it untouched. util/launched.ts says how it travels.
 *
 *      alone -> find this file -> limits, working directory -> memfd -> execve
 *                      |                                         |        |
 *                      +----------------> fail <-----------------+--------+
 */
export function writeCold(launcher: Launcher, installed: string): void {
  // What a planner sent has been executed in the meantime.
  launcher.machine.stackPointer('operation');
  writeFindSelf(launcher);
  writeLookAround(launcher);
  writeHandOver(launcher);
  writeExecute(launcher, installed);
  writeFailures(launcher);
}

/**
 * The engine starts no thread of its own with these: a machine without a free pid, or a cgroup, stops it nowhere but where a
 * process is started, which says so. Compiling to machine code does not pay before a command is over.
 */
const SETTINGS = ['BUN_JSC_useJIT=0', 'BUN_JSC_numberOfGCMarkers=1'];

const AT_EXECFN = 31;
/** F_SEAL_SEAL, _SHRINK, _GROW and _WRITE. */
const ALL_SEALS = 15;

/** Writes the path of the engine: the directory of this file, and the engine's name. */
function writeFindSelf(launcher: Launcher): void {
  const { machine } = launcher;
  writeCall(launcher, 'readlinkat', [AT_FDCWD, { text: '/proc/self/exe' }, PATH, PATH_MAX]);
  machine.move('a5', 'result');
  machine.jumpUnlessBit('a5', SIGN, 'own path');
  // The engine reads this at its start and aborts without.
  writeCall(launcher, 'faccessat', [AT_FDCWD, { text: '/proc/self/maps' }, R_OK]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'no proc');
  writeFindArgument(machine);
  machine.label('own path');
  machine.set('a1', PATH);
  machine.move('a3', 'a1');
  machine.add('a3', 'a5');
  machine.set('a2', '/'.charCodeAt(0));
  machine.set('a4', -1);
  machine.label('back');
  machine.jumpIfEqual('a3', 'a1', 'directory');
  machine.add('a3', 'a4');
  machine.load('s0', 'a3', 0, 1);
  machine.jumpIfEqual('s0', 'a2', 'slash');
  machine.jump('back');
  machine.label('slash');
  machine.addConstant('a3', 1);
  machine.label('directory');
  writeCopy(launcher, 'name', { text: ENGINE_FILE });
}

/** The path that was given to execve(2), of the auxiliary vector, for where /proc shows this process but not its executable. */
function writeFindArgument(machine: Machine): void {
  machine.set('a4', OWN);
  machine.load('a4', 'a4', WORDS.auxiliary, 8);
  machine.set('a2', AT_EXECFN);
  machine.set('a5', 0);
  machine.label('auxiliary');
  machine.load('s0', 'a4', 0, 8);
  machine.jumpIfEqual('s0', 'a2', 'path given');
  machine.jumpIfZero('s0', 'own path');
  machine.addConstant('a4', 16);
  machine.jump('auxiliary');
  machine.label('path given');
  machine.load('a4', 'a4', 8, 8);
  machine.set('a3', PATH);
  machine.label('path byte');
  machine.load('s0', 'a4', 0, 1);
  machine.storeByte('s0', 'a3');
  machine.jumpIfZero('s0', 'path copied');
  machine.addConstant('a4', 1);
  machine.addConstant('a3', 1);
  machine.jump('path byte');
  machine.label('path copied');
  machine.move('a5', 'a3');
  machine.set('a3', PATH);
  machine.subtract('a5', 'a3');
}

/** The limit that the engine will raise, and the working directory, without which it does not start. */
function writeLookAround(launcher: Launcher): void {
  const { machine } = launcher;
  writeCall(launcher, 'prlimit64', [0, RLIMIT_NOFILE, 0, HEADER + LAUNCHED.openFilesSoft]);
  writeCall(launcher, 'getcwd', [DIRECTORY, PATH_MAX]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'no directory');
  machine.set('a4', DIRECTORY);
  machine.load('s0', 'a4', 0, 1);
  machine.set('a4', '/'.charCodeAt(0));
  machine.jumpIfEqual('s0', 'a4', 'directory found');
  // "(unreachable)" before it: outside the root directory.
  machine.set('a5', -ERRNO.ENOENT);
  machine.label('no directory');
  machine.set('a4', HEADER);
  machine.store('a5', 'a4', LAUNCHED.workingDirectory);
  writeCall(launcher, 'chdir', [{ text: '/' }]);
  machine.label('directory found');
}

/** Puts header and environment into a sealed memfd, and its number into the engine's variable. */
function writeHandOver(launcher: Launcher): void {
  const { machine } = launcher;
  writeMemfd(launcher, 'tsrun-environment');
  writeCall(launcher, 'fcntl', ['a5', F_DUPFD, HIGH_DESCRIPTOR]);
  machine.move('a4', 'result');
  machine.jumpIfBit('a4', SIGN, 'placed');
  writeCall(launcher, 'close', ['a5']);
  machine.move('a5', 'a4');
  machine.label('placed');
  machine.set('a1', HEADER);
  machine.set('a2', LAUNCHED.environment);
  writeWrite(launcher, 'header');
  machine.set('a4', OWN);
  machine.load('a1', 'a4', WORDS.environment, 8);
  machine.load('a1', 'a1', 0, 8);
  machine.jumpIfZero('a1', 'handed over');
  machine.load('a2', 'a4', WORDS.stringsEnd, 8);
  machine.subtract('a2', 'a1');
  writeWrite(launcher, 'environment');
  machine.label('handed over');
  writeCall(launcher, 'fcntl', ['a5', F_ADD_SEALS, ALL_SEALS]);
  machine.set('a3', VARIABLE);
  writeCopy(launcher, 'prefix', { text: `${LAUNCHED.variable}=` });
  writeDigits(machine, 'descriptor');
}

/** Executes the engine with the arguments as they came; before Linux 5.18 there may be not even a name. */
function writeExecute(launcher: Launcher, installed: string): void {
  const { machine } = launcher;
  machine.set('a2', ENVIRONMENT);
  machine.set('a3', VARIABLE);
  machine.store('a3', 'a2', 0);
  SETTINGS.forEach((setting, index) => {
    machine.address('a3', labelOf(launcher, setting));
    machine.store('a3', 'a2', 8 * (index + 1));
  });
  machine.move('a1', 'operation');
  machine.addConstant('a1', 8);
  machine.load('s0', 'operation', 0, 8);
  machine.jumpIfZero('s0', 'no name');
  machine.jump('execute engine');
  machine.label('no name');
  machine.set('a1', ARGUMENTS);
  machine.set('a3', PATH);
  machine.store('a3', 'a1', 0);
  machine.label('execute engine');
  writeCall(launcher, 'execve', [PATH, 'a1', 'a2']);
  machine.move('a5', 'result');
  machine.set('s0', ERRNO.ENOENT);
  machine.add('s0', 'a5');
  machine.jumpIfZero('s0', 'elsewhere');
  machine.jump('not executed');
  machine.label('elsewhere');
  writeCall(launcher, 'execve', [{ text: installed }, 'a1', 'a2']);
  machine.jump('not executed');
}

/** What people may meet, by its name. */
const NAMED: readonly Errno[] = [
  'EPERM',
  'ENOENT',
  'EIO',
  'E2BIG',
  'ENOEXEC',
  'EAGAIN',
  'ENOMEM',
  'EACCES',
  'ENFILE',
  'EMFILE',
  'ETXTBSY',
  'ENOSPC',
  'ENOSYS',
  'ELOOP',
  'ENAMETOOLONG',
];

/** A row for each: the number in a byte, and what is printed, ended by a zero byte. The last one, with the number 0, is for all others. */
const ERRNO_TABLE = [...NAMED.map((name) => `${String.fromCharCode(ERRNO[name])}${name}\n`), '\0unknown error\n'].join(
  '\0',
);

/** One line on standard error, with the name of the errno in a5 last. */
function writeFailures(launcher: Launcher): void {
  const { machine } = launcher;
  machine.label('no proc');
  writeText(launcher, 'tsrun: read "/proc/self/maps", for which a proc of this pid namespace has to be on "/proc": ');
  machine.jump('errno');
  machine.label('no memory');
  writeText(launcher, 'tsrun: hand the environment over in a memfd: ');
  machine.jump('errno');
  machine.label('not executed');
  writeText(launcher, 'tsrun: execute "');
  machine.set('a1', PATH);
  writePrint(launcher, 'path');
  writeText(launcher, `", which belongs beside the file "tsrun": `);
  machine.label('errno');
  machine.set('a4', 0);
  machine.subtract('a4', 'a5');
  machine.address('a1', labelOf(launcher, ERRNO_TABLE));
  machine.label('row');
  machine.load('s0', 'a1', 0, 1);
  machine.addConstant('a1', 1);
  machine.jumpIfZero('s0', 'last');
  machine.jumpIfEqual('s0', 'a4', 'last');
  machine.label('rest of row');
  machine.load('s0', 'a1', 0, 1);
  machine.addConstant('a1', 1);
  machine.jumpIfZero('s0', 'row');
  machine.jump('rest of row');
  machine.label('last');
  writePrint(launcher, 'last');
  writeCall(launcher, 'exit_group', [1]);
}
