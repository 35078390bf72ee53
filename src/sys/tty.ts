import { TIOCGWINSZ, TIOCSWINSZ } from '../util/constants.ts';
import { bindLibc } from './library.ts';

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');

/** Gives one terminal the size of another; where the first is no terminal nothing happens. Source: man 2 ioctl_tty. */
export function copyWindowSize(fromFd: number, toFd: number): void {
  const size = Buffer.alloc(8);
  if (ioctl(fromFd, TIOCGWINSZ, size) === 0) ioctl(toFd, TIOCSWINSZ, size);
}
