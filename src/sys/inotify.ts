import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const inotifyInit = bindLibc('int inotify_init1(int flags)');
const inotifyAddWatch = bindLibc('int inotify_add_watch(int inotify, const char *path, uint32_t mask)');
const readCall = bindLibc('long read(int fd, void *bytes, size_t count)');

const IN_CLOEXEC = 0o2000000;
const IN_NONBLOCK = 0o4000;
const IN_MODIFY = 2;

/** A descriptor that can be read when a file has changed, close-on-exec. Errors: `host` (ENOENT, EMFILE, ENOSPC). Source: man 7 inotify. */
export function watchChanges(hostPath: string): OwnedFd {
  const inotify = new OwnedFd(checked(inotifyInit(IN_CLOEXEC | IN_NONBLOCK), 'watch a file'));
  try {
    checked(inotifyAddWatch(inotify.number, hostPath, IN_MODIFY), `watch ${JSON.stringify(hostPath)}`);
    return inotify;
  } catch (error) {
    inotify.close();
    throw error;
  }
}

/** Forgets the changes so far. */
export function passChanges(inotify: OwnedFd): void {
  const events = Buffer.alloc(4096);
  while (readCall(inotify.number, events, events.length) > 0);
}
