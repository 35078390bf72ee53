import { readdirSync } from 'node:fs';
import { setCloseOnExec } from '../sys/fd.ts';

/**
 * Has every descriptor above standard error closed in the programs that this process starts: hooks, `ps`, `newuidmap`.
 *
 * Node does that for descriptors that it opens, and for inherited ones up to the first gap above 15 (uv_disable_stdio_inheritance()
 * of libuv); what a caller leaks at a higher number would reach a hook. Descriptors that are meant for a container arrive there all
 * the same: they are duplicated to their numbers. For a command, before it starts anything: the descriptors of a process that uses
 * the library are its own affair.
 */
export function keepInheritedFromChildren(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const number = Number(name);
    if (number > 2) setCloseOnExec(number);
  }
}
