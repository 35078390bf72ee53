import { lastErrno } from '../errno.ts';
import { bindLibc } from '../library.ts';
import { TextList } from './text-list.ts';

const fexecve = bindLibc('int fexecve(int fd, const void *argv, const void *envp)');

/**
 * This process becomes an open executable, with no arguments and an empty environment unless some are given; its other threads end.
 *
 * It returns only when that cannot be, with the name of the errno. Source: man 3 fexecve.
 */
export function becomeExecutable(
  fd: number,
  name: string,
  { args = [], environment = [] }: { readonly args?: readonly string[]; readonly environment?: readonly string[] } = {},
): string {
  fexecve(fd, new TextList([name, ...args]).pointers, new TextList(environment).pointers);
  return lastErrno();
}
