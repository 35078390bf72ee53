import { readFileSync, statSync } from 'node:fs';
import { noPreservedDescriptor } from '../own-process/preserved-descriptors.ts';
import { isTerminalDevice } from '../cli/terminal.ts';
import { O_CLOEXEC } from '../util/constants.ts';
import { GoCold } from './reasons.ts';

/** The launcher keeps its own behind these. */
const LAUNCHERS_FIRST = 100;

/** Whether a process has its standard descriptors. */
export function hasStdio(proc: string): boolean {
  return [0, 1, 2].every((number) => isOpen(proc, number));
}

/** Checks that a process has the `count` descriptors from 3 on. Errors: `usage`; `GoCold` for more than a launcher can pass on. */
export function requireDescriptors(proc: string, count: number): void {
  if (3 + count >= LAUNCHERS_FIRST) throw new GoCold('descriptors');
  for (let number = 3; number < 3 + count; number++)
    if (!isOpen(proc, number)) throw noPreservedDescriptor(number, count);
}

/** Whether a descriptor of a process is a terminal. */
export function isTerminalOf(proc: string, number: number): boolean {
  try {
    return isTerminalDevice(statSync(`${proc}/fd/${number}`));
  } catch {
    // A closed descriptor is no terminal.
    return false;
  }
}

function isOpen(proc: string, number: number): boolean {
  try {
    // What closes on execve was opened by the launcher itself, which may not have come to closing it.
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`${proc}/fdinfo/${number}`, 'latin1'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_CLOEXEC) === 0;
  } catch {
    return false;
  }
}
