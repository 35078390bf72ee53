import { TIOCGWINSZ, TIOCSWINSZ } from '../util/constants.ts';
import { bindLibc } from './library.ts';

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');

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
  modes.writeUInt32LE((modes.readUInt32LE(OUTPUT_MODES) & ~ONLCR) >>> 0, OUTPUT_MODES);
  const TCSANOW = 0;
  tcsetattr(fd, TCSANOW, modes);
}

/** Gives one terminal the size of another; where the first is no terminal nothing happens. Source: man 2 ioctl_tty. */
export function copyWindowSize(fromFd: number, toFd: number): void {
  const size = Buffer.alloc(8);
  if (ioctl(fromFd, TIOCGWINSZ, size) === 0) ioctl(toFd, TIOCSWINSZ, size);
}
