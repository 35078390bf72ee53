import { lastErrno } from '../errno.ts';
import { bindLibc, loadKoffi } from '../library.ts';

const fexecve = bindLibc('int fexecve(int fd, const void *argv, const void *envp)');

/**
 * This process becomes an open executable, with an empty environment; its other threads end.
 *
 * It returns only when that cannot be, with the name of the errno. Source: man 3 fexecve.
 */
export function becomeExecutable(fd: number, name: string): string {
  const text = Buffer.from(`${name}\0`);
  const argv = Buffer.alloc(16);
  argv.writeBigUInt64LE(loadKoffi().address(text), 0);
  fexecve(fd, argv, Buffer.alloc(8));
  return lastErrno();
}
