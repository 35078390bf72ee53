import { CALLS, type Arch } from '../program/calls.ts';
import {
  ACCEPT_SLOTS,
  CHECK_NUMBER,
  LAYOUT,
  OFFSETS,
  OPERATION_SIZE,
  PACKET_HEADER_SIZE,
  REPLY_SIZE,
  TRIES_ARGUMENT,
} from '../program/layout.ts';
import { MSG_NOSIGNAL } from '../util/constants.ts';
import { ERRNO } from '../util/errno.ts';
import type { Machine, Register } from './assembler.ts';

const ARGUMENTS: readonly Register[] = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5'];
const SIGN = 63;
/** The lowest result that is an errno (MAX_ERRNO of include/linux/err.h). */
const LOWEST_ERRNO = -4095;

/** What an image of init is made for: it holds both as constants. */
export interface InterpreterOptions {
  readonly arch: Arch;
  /** The descriptor over which packets arrive and failures are reported. */
  readonly syncFd: number;
}

/** In what one interpreter is not as another. */
export interface InterpreterForm {
  readonly arch: Arch;
  /** The descriptor over which packets arrive and failures are reported: its number, or the address of the word that holds it. */
  readonly sync: number | { readonly word: number };
  /** Address of the word that says where the program being executed ends. */
  readonly end: number;
  /** The other side may end without harm to this process: a report that it does not take raises no SIGPIPE. */
  readonly isQuiet: boolean;
  /**
   * What comes behind `receive`, with the errno of read(2) plus EINTR in `result`: it leads to the label `gone`, where nobody is left to
   * receive from. At its end `operation` points at the first operation of what was received.
   */
  readonly writeReceived: () => void;
}

/**
 * Writes the whole logic of the init process; FORMAT.md says what it has to do.
 *
 *      receive <------------------------------+-------------------+
 *         |  \ end of file                    |                   |
 *         |   gone <--- not written ----------)------------------ fail
 *         v                         no more   |                   ^ ^
 *       next -> operands -> call -------------+    no tries left  | |
 *         ^                  |  check --- holds, n<0 -------------+ |
 *         |                  |    |          | one try less         |
 *      advance <-- accepted -+----+--- back -+      not accepted ---+
 *
 * There is no stack and no state but `operation` and the fixed memory: a clone3 without a stack of its own leaves two
 * processes that both go on with the next operation.
 */
export function writeInterpreter(machine: Machine, { arch, syncFd }: InterpreterOptions): void {
  writeLoop(machine, {
    arch,
    sync: syncFd,
    end: LAYOUT.message.address + OFFSETS.end,
    isQuiet: false,
    writeReceived: () => {
      machine.label('gone');
      writeExit(machine, arch);
      machine.label('received');
      machine.set('operation', LAYOUT.message.address + PACKET_HEADER_SIZE);
    },
  });
}

/** Ends the process. A seccomp filter may refuse even that: without the trap behind it the process would go on for ever. */
export function writeExit(machine: Machine, arch: Arch): void {
  machine.set('number', CALLS.exit_group[arch]);
  machine.set('a0', 1);
  machine.systemCall();
  machine.trap();
}

/** The same for any form: it starts by receiving, and uses the labels of the drawing. */
export function writeLoop(machine: Machine, form: InterpreterForm): void {
  writeReceive(machine, form);
  form.writeReceived();
  writeOperands(machine, form);
  writeCall(machine);
  writeFail(machine, form);
  writeCheck(machine);
  machine.label('advance');
  machine.addConstant('operation', OPERATION_SIZE);
  machine.jump('next');
}

/** Reads a packet, again after a signal. */
function writeReceive(machine: Machine, form: InterpreterForm): void {
  machine.label('receive');
  machine.set('number', CALLS.read[form.arch]);
  writeSync(machine, form);
  machine.set('a1', LAYOUT.message.address);
  machine.set('a2', LAYOUT.message.size);
  machine.systemCall();
  machine.jumpIfZero('result', 'gone');
  machine.jumpUnlessBit('result', SIGN, 'received');
  machine.addConstant('result', ERRNO.EINTR);
  machine.jumpIfZero('result', 'receive');
}

function writeSync(machine: Machine, { sync }: InterpreterForm): void {
  machine.set('a0', typeof sync === 'number' ? sync : sync.word);
  if (typeof sync !== 'number') machine.load('a0', 'a0', 0, 8);
}

/** Loads the operands of the next operation, those that are indirect through their addresses. */
function writeOperands(machine: Machine, { end }: InterpreterForm): void {
  machine.label('next');
  machine.set('s0', end);
  machine.load('s0', 's0', 0, 8);
  machine.jumpIfBelow('operation', 's0', 'operands');
  machine.jump('receive');
  machine.label('operands');
  machine.load('s0', 'operation', OFFSETS.indirect, 1);
  ARGUMENTS.forEach((argument, index) => {
    machine.load(argument, 'operation', OFFSETS.arguments + 8 * index, 8);
    machine.jumpUnlessBit('s0', index, `direct ${index}`);
    machine.load(argument, argument, 0, 8);
    machine.label(`direct ${index}`);
  });
}

/** Calls the kernel, stores the result and looks whether it is one to go on with. */
function writeCall(machine: Machine): void {
  machine.load('number', 'operation', OFFSETS.number, 2);
  machine.set('s0', CHECK_NUMBER);
  machine.jumpIfEqual('number', 's0', 'check');
  machine.systemCall();
  machine.load('s0', 'operation', OFFSETS.result, 4);
  machine.jumpIfZero('s0', 'dropped');
  machine.store('result', 's0', 0);
  machine.label('dropped');
  machine.set('s0', LOWEST_ERRNO);
  machine.jumpIfBelow('result', 's0', 'advance');
  machine.load('s0', 'operation', OFFSETS.flags, 1);
  machine.jumpIfBit('s0', 1, 'advance');
  for (let slot = 0; slot < ACCEPT_SLOTS; slot++) {
    machine.load('s0', 'operation', OFFSETS.accept + 2 * slot, 2);
    // The result is the negative errno, so an accepted one makes the sum zero; an unused slot never does.
    machine.add('s0', 'result');
    machine.jumpIfZero('s0', 'advance');
  }
}

/** Reports the address of the operation and its result. Who never hears of it sends nothing more: then nobody is left. */
function writeFail(machine: Machine, form: InterpreterForm): void {
  machine.label('fail');
  machine.set('s0', LAYOUT.memory.address);
  machine.store('operation', 's0', OFFSETS.reportAddress);
  machine.store('result', 's0', OFFSETS.reportResult);
  machine.set('number', CALLS[form.isQuiet ? 'sendto' : 'write'][form.arch]);
  writeSync(machine, form);
  machine.set('a1', LAYOUT.memory.address);
  machine.set('a2', REPLY_SIZE);
  if (form.isQuiet) {
    machine.set('a3', MSG_NOSIGNAL);
    machine.set('a4', 0);
  }
  machine.systemCall();
  machine.jumpIfBit('result', SIGN, 'gone');
  machine.jump('receive');
}

/** Compares the masked value; skips, repeats or fails when the check holds. */
function writeCheck(machine: Machine): void {
  machine.label('check');
  machine.load('a0', 'a0', 0, 8);
  machine.and('a0', 'a1');
  machine.load('s0', 'operation', OFFSETS.flags, 1);
  machine.jumpIfEqual('a0', 'a2', 'equal');
  machine.jumpIfBit('s0', 0, 'holds');
  machine.jump('advance');
  machine.label('equal');
  machine.jumpIfBit('s0', 0, 'advance');
  machine.label('holds');
  machine.jumpUnlessBit('a3', SIGN, 'skip');
  machine.move('result', 'a3');
  machine.jumpIfZero('a4', 'fail');
  // The counter is this operation's own argument: the next time it is one less.
  machine.set('s0', -1);
  machine.add('a4', 's0');
  machine.store('a4', 'operation', OFFSETS.arguments + 8 * TRIES_ARGUMENT);
  machine.move('a3', 'a5');
  machine.label('skip');
  machine.shiftLeft('a3', Math.log2(OPERATION_SIZE));
  machine.add('operation', 'a3');
}
