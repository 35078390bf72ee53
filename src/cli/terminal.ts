import { closeSync, fstatSync, openSync, type Stats } from 'node:fs';

/** Majors of consoles, /dev/tty and the slaves of pseudo-terminals (Documentation/admin-guide/devices.txt). */
const TERMINAL_MAJORS: ReadonlySet<number> = new Set([4, 5, 136, 137, 138, 139, 140, 141, 142, 143]);

/** Whether a descriptor is a terminal, without node:tty, which costs a fifth of the start of a command. */
export function isTerminal(fd: number): boolean {
  try {
    return isTerminalDevice(fstatSync(fd));
  } catch {
    // A closed descriptor is no terminal.
    return false;
  }
}

/** Whether a file is the device of a terminal. */
export function isTerminalDevice(stat: Stats): boolean {
  return stat.isCharacterDevice() && TERMINAL_MAJORS.has((stat.rdev >> 8) & 0xfff);
}

/**
 * For a process that is about to end, on Node: it sets the modes of the terminals it was given back, and aborts when one of them has hung
 * up (ResetStdio, an assertion that only EPERM may fail). Nothing here leaves modes behind.
 */
export function leaveTerminals(): void {
  if (process.versions.bun !== undefined) return;
  for (const fd of [0, 1, 2].filter(isTerminal)) {
    closeSync(fd);
    try {
      // The lowest number that is free.
      openSync('/dev/null', 'r+');
    } catch {
      // Without one the descriptor stays closed, which Node accepts as well.
    }
  }
}
