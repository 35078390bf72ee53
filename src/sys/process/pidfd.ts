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

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');
/** Source: include/uapi/linux/pidfd.h, struct pidfd_info in its first form of 64 bytes: mask at 0, exit_code at 60. */
const PIDFD_INFO_BYTES = 64;
const PIDFD_GET_INFO = 0xc040_ff0b;
const PIDFD_INFO_EXIT = 8n;
const EXIT_CODE_AT = 60;

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

/**
 * The status word of wait(2) of a process that somebody has reaped, whoever that was, since the descriptor was opened. Undefined of one that
 * is there, and before Linux 6.15, whose kernels forget it.
 */
export function pidfdExitStatus(pidfd: number): number | undefined {
  const info = Buffer.alloc(PIDFD_INFO_BYTES);
  info.writeBigUInt64LE(PIDFD_INFO_EXIT, 0);
  if (ioctl(pidfd, PIDFD_GET_INFO, info) < 0) return undefined;
  return (info.readBigUInt64LE(0) & PIDFD_INFO_EXIT) === 0n ? undefined : info.readInt32LE(EXIT_CODE_AT);
}
