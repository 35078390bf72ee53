import { checked } from '../errno.ts';
import { OwnedFd } from '../fd.ts';
import { bindLibc } from '../library.ts';

const eventfdCall = bindLibc('int eventfd(unsigned int initial, int flags)');
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/** A counter that others raise and that can be waited for, close-on-exec; reading one of 0 fails with EAGAIN. Errors: `host`. */
export function eventfd(): OwnedFd {
  return new OwnedFd(checked(eventfdCall(0, EFD_CLOEXEC | EFD_NONBLOCK), 'make an eventfd'));
}
