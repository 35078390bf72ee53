import { bindLibc } from '../library.ts';
import { checked } from '../errno.ts';
import type { OwnedFd } from '../fd.ts';

const setsidCall = bindLibc('int setsid()');
const dup2Call = bindLibc('int dup2(int fd, int number)');

/** Begins a session without a terminal, unless this process leads one. Source: man 2 setsid. */
export function beginSession(): void {
  // EPERM: it leads its process group, and so nobody else's signals reach it.
  setsidCall();
}

/** Puts an open file in the place of descriptor 0, 1 or 2; what was there is closed. Errors: `host`. */
export function replaceStandard(number: 0 | 1 | 2, by: OwnedFd): void {
  checked(dup2Call(by.number, number), `put descriptor ${by.number} in the place of ${number}`);
}
