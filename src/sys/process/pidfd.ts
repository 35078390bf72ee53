import { checked } from '../errno.ts';
import { OwnedFd } from '../fd.ts';
import { bindLibc } from '../library.ts';

/** The numbers are the same on x86-64 and arm64 (include/uapi/asm-generic/unistd.h). */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;

const pidfdOpenCall = bindLibc('long syscall(long number, int pid, unsigned int flags)');
const pidfdGetfdCall = bindLibc('long syscall(long number, int pidfd, int fd, unsigned int flags)');
const pidfdSendSignalCall = bindLibc(
  'long syscall(long number, int pidfd, int signal, void *info, unsigned int flags)',
);

/** A descriptor of a process, close-on-exec; it becomes readable when the process exits. Errors: `host` (ESRCH). */
export function pidfdOpen(pid: number): OwnedFd {
  return new OwnedFd(checked(pidfdOpenCall(SYS_PIDFD_OPEN, pid, 0), `open process ${pid}`));
}

/** Sends a signal, 0 to only look. Errors: `host` (ESRCH when the process is gone, EPERM). */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  checked(pidfdSendSignalCall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0), `send signal ${signal}`);
}

/** A duplicate of another process's descriptor, close-on-exec. Errors: `host` (EPERM unless it may be traced, EBADF). */
export function pidfdGetfd(pidfd: number, fd: number): OwnedFd {
  return new OwnedFd(checked(pidfdGetfdCall(SYS_PIDFD_GETFD, pidfd, fd, 0), `take over descriptor ${fd}`));
}
