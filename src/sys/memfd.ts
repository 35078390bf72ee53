import { F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from '../util/constants.ts';
import { MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL } from '../util/constants.ts';
import { checked, lastErrno } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';
import { writeFully } from './io.ts';

const memfdCreate = bindLibc('int memfd_create(const char *name, unsigned int flags)');
const ftruncate = bindLibc('int ftruncate(int fd, long length)');
const fcntl = bindLibc('int fcntl(int fd, int cmd, long arg)');

/**
 * An executable file in memory that nobody can change any more: written, then sealed against every change, the seals included.
 *
 * Errors: `host`; `errno` EACCES where the system forbids executable memfds (sysctl vm.memfd_noexec=2).
 * Source: man 2 memfd_create, man 2 fcntl (F_ADD_SEALS).
 */
export function createSealedExecutable(name: string, bytes: Uint8Array): OwnedFd {
  let fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  // MFD_EXEC is new in Linux 6.3; older kernels refuse the unknown flag and always make the file executable.
  if (fd < 0 && lastErrno() === 'EINVAL') fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const file = new OwnedFd(checked(fd, `create memfd ${JSON.stringify(name)}`));
  try {
    writeFully(file.number, bytes);
    const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    checked(fcntl(file.number, F_ADD_SEALS, seals), `seal memfd ${JSON.stringify(name)}`);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A file of zeros in memory, close-on-exec; `size` in bytes. Errors: `host`. */
export function createMemfd(name: string, size = 0): OwnedFd {
  let fd = memfdCreate(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  // MFD_NOEXEC_SEAL is new in Linux 6.3, whose vm.memfd_noexec=2 wants it.
  if (fd < 0 && lastErrno() === 'EINVAL') fd = memfdCreate(name, MFD_CLOEXEC);
  const file = new OwnedFd(checked(fd, `create memfd ${JSON.stringify(name)}`));
  if (size > 0) checked(ftruncate(file.number, size), `enlarge memfd ${JSON.stringify(name)}`);
  return file;
}
