import { O_CLOEXEC, O_NOCTTY, O_RDWR, TIOCGPTPEER, TIOCGWINSZ, TIOCSWINSZ } from '../util/constants.ts';
import { SIGNALS } from '../util/signals.ts';
import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';
import { withBlocked } from './events/signals.ts';

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');

const ioctlNumber = bindLibc('int ioctl(int fd, unsigned long request, unsigned long argument)');
const tcgetpgrp = bindLibc('int tcgetpgrp(int fd)');
const getpgrp = bindLibc('int getpgrp()');
const tcgetattr = bindLibc('int tcgetattr(int fd, void *termios)');
const tcsetattr = bindLibc('int tcsetattr(int fd, int actions, const void *termios)');

/** struct termios starts with four u32: input, output, control and local modes; 60 bytes in glibc and musl. */
const TERMIOS_SIZE = 128;
const OUTPUT_MODES = 4;
const ONLCR = 4;

/** Whether the descriptor is a terminal. */
export function isTerminal(fd: number): boolean {
  return tcgetattr(fd, Buffer.alloc(TERMIOS_SIZE)) === 0;
}

/**
 * Has a terminal no longer turn each line feed into carriage return and line feed: the terminal that its output is relayed to does
 * that already. Source: man 3 termios.
 */
export function clearOnlcr(fd: number): void {
  const modes = Buffer.alloc(TERMIOS_SIZE);
  if (tcgetattr(fd, modes) !== 0) return;
  change(modes, OUTPUT_MODES, { clear: ONLCR });
  tcsetattr(fd, TCSANOW, modes);
}

const TCSANOW = 0;
const INPUT_MODES = 0;
const CONTROL_MODES = 8;
const LOCAL_MODES = 12;
/** c_cc begins at 17; VTIME and VMIN are its elements 5 and 6. */
const VTIME = 17 + 5;
const VMIN = 17 + 6;
const BRKINT_ICRNL_INPCK_ISTRIP_IXON = 0o2 | 0o400 | 0o20 | 0o40 | 0o2000;
const CS8 = 0o60;
const ISIG = 1;
const ICANON_ECHO_IEXTEN = 0o2 | 0o10 | 0o100000;

/**
 * Passes on each key of a terminal as it is typed; what is written is still turned into whole lines. With `keepsSignals` the keys for
 * signals go on to send them. Returns how to set it back. Nothing happens to what is no terminal.
 */
export function makeRaw(fd: number, { keepsSignals }: { readonly keepsSignals: boolean }): () => void {
  const before = Buffer.alloc(TERMIOS_SIZE);
  if (tcgetattr(fd, before) !== 0) return () => undefined;
  const modes = Buffer.from(before);
  change(modes, INPUT_MODES, { clear: BRKINT_ICRNL_INPCK_ISTRIP_IXON });
  change(modes, OUTPUT_MODES, { set: ONLCR });
  change(modes, CONTROL_MODES, { set: CS8 });
  change(modes, LOCAL_MODES, { clear: keepsSignals ? ICANON_ECHO_IEXTEN : ICANON_ECHO_IEXTEN | ISIG });
  modes[VMIN] = 1;
  modes[VTIME] = 0;
  const set = (wanted: Buffer): void => {
    // In the background a process that has not blocked it is stopped by SIGTTOU.
    withBlocked(SIGNALS.TTOU, () => tcsetattr(fd, TCSANOW, wanted));
  };
  set(modes);
  return () => {
    set(before);
  };
}

function change(modes: Buffer, offset: number, { set = 0, clear = 0 }: { set?: number; clear?: number }): void {
  modes.writeUInt32LE(((modes.readUInt32LE(offset) & ~clear) | set) >>> 0, offset);
}

/** False while this process is in the background of the terminal, where reading it would stop the process (SIGTTIN). */
export function mayReadTerminal(fd: number): boolean {
  const foreground = tcgetpgrp(fd);
  // Not the terminal of this session, or none.
  return foreground < 0 || foreground === getpgrp();
}

/** The other end of the pseudo-terminal with this master, close-on-exec; undefined when it cannot be had. Source: man 2 ioctl_tty. */
export function openPeer(master: number): OwnedFd | undefined {
  const fd = ioctlNumber(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return fd < 0 ? undefined : new OwnedFd(fd);
}

/** Gives one terminal the size of another; where the first is no terminal nothing happens. Source: man 2 ioctl_tty. */
export function copyWindowSize(fromFd: number, toFd: number): void {
  const size = Buffer.alloc(8);
  if (ioctl(fromFd, TIOCGWINSZ, size) === 0) ioctl(toFd, TIOCSWINSZ, size);
}

/** Gives a terminal a size, in characters. Errors: `host`. Source: man 2 ioctl_tty. */
export function setWindowSize(
  fd: number,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  checked(ioctl(fd, TIOCSWINSZ, size), 'set the size of a terminal');
}
