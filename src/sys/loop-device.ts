import { O_RDONLY, O_RDWR } from '../util/constants.ts';
import { checked, hasErrno } from './errno.ts';
import type { OwnedFd } from './fd.ts';
import { openFile } from './file.ts';
import { bindLibc } from './library.ts';

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');
const ioctlNumber = bindLibc('int ioctl(int fd, unsigned long request, unsigned long argument)');

const CONTROL = '/dev/loop-control';
/** Source: include/uapi/linux/loop.h. */
const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_config: fd, block size, and a struct loop_info64 with its flags. */
const CONFIG_BYTES = 304;
const FLAGS_AT = 60;
/** Somebody else may take the device that was free a moment ago. */
const TRIES_MAX = 64;

/** A block device that is a file; it is one until nobody has it open or mounted any more. */
export interface LoopDevice {
  readonly fd: OwnedFd;
  readonly path: string;
}

/** Makes a block device of a file of the host. Errors: `host`. Effects: the caller owns the descriptor. Source: man 4 loop (Linux 5.8). */
export function attachLoopDevice(hostPath: string, { isReadOnly }: { readonly isReadOnly: boolean }): LoopDevice {
  const mode = isReadOnly ? O_RDONLY : O_RDWR;
  using control = openFile(CONTROL, O_RDWR);
  using file = openFile(hostPath, mode);
  const config = Buffer.alloc(CONFIG_BYTES);
  config.writeUInt32LE(file.number, 0);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (isReadOnly ? LO_FLAGS_READ_ONLY : 0), FLAGS_AT);
  for (let tries = 1; ; tries += 1) {
    const number = checked(ioctlNumber(control.number, LOOP_CTL_GET_FREE, 0), 'find a free loop device');
    const path = `/dev/loop${number}`;
    const fd = openFile(path, mode);
    try {
      checked(ioctl(fd.number, LOOP_CONFIGURE, config), `make ${path} of ${JSON.stringify(hostPath)}`);
      return { fd, path };
    } catch (error) {
      fd.close();
      if (!hasErrno(error, 'EBUSY') || tries === TRIES_MAX) throw error;
    }
  }
}
