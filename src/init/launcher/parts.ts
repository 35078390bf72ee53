import { CALLS, type Arch } from '../../program/calls.ts';
import { MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL } from '../../util/constants.ts';
import { ERRNO } from '../../util/errno.ts';
import { LAUNCHED } from '../../util/launched.ts';
import { utf8 } from '../../util/utf8.ts';
import type { Machine, Register } from '../assembler.ts';

/** A launcher that is being written. */
export interface Launcher {
  readonly machine: Machine;
  readonly arch: Arch;
  /** Text, ended by a zero byte in memory -> its label. */
  readonly texts: Map<string, string>;
}

/** The sign bit: set in the result of a call that failed. */
export const SIGN = 63;

/** System calls: x86-64, arm64. Five of them are the launchers' alone. */
const CALL_NUMBERS = {
  connect: { 'x86-64': 42, arm64: 203 },
  lseek: { 'x86-64': 8, arm64: 62 },
  geteuid: { 'x86-64': 107, arm64: 175 },
  faccessat: { 'x86-64': 269, arm64: 48 },
  memfd_create: { 'x86-64': 319, arm64: 279 },
  chdir: CALLS.chdir,
  clone: CALLS.clone,
  close: CALLS.close,
  dup3: CALLS.dup3,
  execve: CALLS.execve,
  exit_group: CALLS.exit_group,
  fcntl: CALLS.fcntl,
  getcwd: CALLS.getcwd,
  getpid: CALLS.getpid,
  getsockopt: CALLS.getsockopt,
  openat: CALLS.openat,
  pipe2: CALLS.pipe2,
  prlimit64: CALLS.prlimit64,
  read: CALLS.read,
  readlinkat: CALLS.readlinkat,
  sendmsg: CALLS.sendmsg,
  setsockopt: CALLS.setsockopt,
  socket: CALLS.socket,
  statx: CALLS.statx,
  write: CALLS.write,
} as const;

/** Stores a number at `base` plus `offset`, by way of s0. */
export function writeStore(machine: Machine, base: Register, offset: number, value: number): void {
  machine.set('s0', value);
  machine.store('s0', base, offset);
}

/** Writes `text` to standard error. Of one text only once in a launcher: its labels are named after it. */
export function writeText(launcher: Launcher, text: string): void {
  launcher.machine.address('a1', labelOf(launcher, text));
  writePrint(launcher, text);
}

/** Writes the text at a1 to standard error. `part` makes the labels its own. */
export function writePrint(launcher: Launcher, part: string): void {
  const { machine } = launcher;
  machine.move('a2', 'a1');
  machine.label(`letter of ${part}`);
  machine.load('s0', 'a2', 0, 1);
  machine.jumpIfZero('s0', `end of ${part}`);
  machine.addConstant('a2', 1);
  machine.jump(`letter of ${part}`);
  machine.label(`end of ${part}`);
  machine.subtract('a2', 'a1');
  writeCall(launcher, 'write', [2, 'a1', 'a2']);
}

/** Writes a2 bytes from a1 to the descriptor a5. */
export function writeWrite(launcher: Launcher, part: string): void {
  const { machine } = launcher;
  machine.label(`write ${part}`);
  machine.jumpIfZero('a2', `${part} written`);
  writeCall(launcher, 'write', ['a5', 'a1', 'a2']);
  machine.move('a4', 'result');
  machine.jumpUnlessBit('a4', SIGN, `wrote ${part}`);
  machine.move('a5', 'a4');
  machine.jump('no memory');
  machine.label(`wrote ${part}`);
  machine.add('a1', 'a4');
  machine.subtract('a2', 'a4');
  machine.jump(`write ${part}`);
  machine.label(`${part} written`);
}

/** Copies a text with its end to a3, and leaves a3 at that end. */
export function writeCopy(launcher: Launcher, part: string, { text }: { readonly text: string }): void {
  const { machine } = launcher;
  machine.address('a4', labelOf(launcher, text));
  machine.label(`copy ${part}`);
  machine.load('s0', 'a4', 0, 1);
  machine.storeByte('s0', 'a3');
  machine.jumpIfZero('s0', `${part} copied`);
  machine.addConstant('a4', 1);
  machine.addConstant('a3', 1);
  machine.jump(`copy ${part}`);
  machine.label(`${part} copied`);
}

/** A memfd that can be sealed, in a5. Of one name only once in a launcher. */
export function writeMemfd(launcher: Launcher, name: string): void {
  const { machine } = launcher;
  writeCall(launcher, 'memfd_create', [{ text: name }, MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL]);
  machine.move('a5', 'result');
  machine.set('s0', ERRNO.EINVAL);
  machine.add('s0', 'a5');
  machine.jumpIfZero('s0', `older kernel for ${name}`);
  machine.jump(`made ${name}`);
  machine.label(`older kernel for ${name}`);
  // MFD_NOEXEC_SEAL is new in Linux 6.3.
  writeCall(launcher, 'memfd_create', [{ text: name }, MFD_ALLOW_SEALING]);
  machine.move('a5', 'result');
  machine.label(`made ${name}`);
  machine.jumpIfBit('a5', SIGN, 'no memory');
}

/** Writes the number in a5 at a3, in the digits of util/launched.ts; the memory behind it is zero. `part` makes the labels its own. */
export function writeDigits(machine: Machine, part: string): void {
  machine.set('a2', LAUNCHED.digits.length - 1);
  machine.set('a4', LAUNCHED.digits.charCodeAt(0));
  machine.label(`digit of ${part}`);
  machine.move('s0', 'a5');
  machine.and('s0', 'a2');
  machine.add('s0', 'a4');
  machine.storeByte('s0', 'a3');
  machine.addConstant('a3', 1);
  machine.shiftRight('a5', Math.log2(LAUNCHED.digits.length));
  machine.jumpIfZero('a5', `end of ${part}`);
  machine.jump(`digit of ${part}`);
  machine.label(`end of ${part}`);
}

type Argument = number | Register | { readonly text: string };

const REGISTERS: readonly Register[] = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5'];

/** A system call. Of the argument registers only the first is lost. */
export function writeCall(
  { machine, arch, texts }: Launcher,
  name: keyof typeof CALL_NUMBERS,
  values: readonly Argument[],
): void {
  values.forEach((value, index) => {
    const register = REGISTERS[index] ?? 'a0';
    if (typeof value === 'number') machine.set(register, value);
    else if (typeof value === 'object') machine.address(register, labelOf({ texts }, value.text));
    else if (value !== register) machine.move(register, value);
  });
  machine.set('number', CALL_NUMBERS[name][arch]);
  machine.systemCall();
}

/** The label of a text in the data behind the code, where `writeTexts` is going to place it, however often it is used. */
export function labelOf({ texts }: Pick<Launcher, 'texts'>, text: string): string {
  const label = `text ${JSON.stringify(text)}`;
  texts.set(text, label);
  return label;
}

/** Places the texts that were asked for, each once and with its zero byte. Comes last: the processor must not run into them. */
export function writeTexts({ machine, texts }: Launcher): void {
  for (const [text, label] of texts) {
    machine.label(label);
    machine.data(utf8(`${text}\0`));
  }
}
