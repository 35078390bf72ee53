import { fstatSync } from 'node:fs';

/** Majors of consoles, /dev/tty and the slaves of pseudo-terminals (Documentation/admin-guide/devices.txt). */
const TERMINAL_MAJORS: ReadonlySet<number> = new Set([4, 5, 136, 137, 138, 139, 140, 141, 142, 143]);

/** Whether a descriptor is a terminal, without node:tty, which costs a fifth of the start of a command. */
export function isTerminal(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isCharacterDevice() && TERMINAL_MAJORS.has((stat.rdev >> 8) & 0xfff);
  } catch {
    // A closed descriptor is no terminal.
    return false;
  }
}
