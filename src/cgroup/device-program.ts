import {
  attachDeviceProgram,
  detachDeviceProgram,
  loadDeviceProgram,
  openProgram,
  queryDevicePrograms,
  readProgramName,
} from '../sys/bpf.ts';
import { hasErrno } from '../sys/errno.ts';
import type { OwnedFd } from '../sys/fd.ts';

/** How tsrun finds its own program again among those of others (systemd's DevicePolicy). At most 15 bytes. */
const PROGRAM_NAME = 'tsrun_devices';

/**
 * Puts a device program in force on a cgroup2 directory; one of ours from before is replaced without a moment in between, those
 * of others stay and must allow as well.
 *
 * Errors: `host` with the errno; `EPERM` where BPF is not permitted.
 */
export function applyDeviceProgram(cgroupFd: number, instructions: Uint8Array): void {
  using program = loadDeviceProgram(instructions, PROGRAM_NAME);
  const old = openOwnPrograms(cgroupFd);
  try {
    const [replaced, ...rest] = old;
    attachDeviceProgram(cgroupFd, program.number, replaced?.number);
    for (const stray of rest) detachDeviceProgram(cgroupFd, stray.number);
  } finally {
    for (const fd of old) fd.close();
  }
}

function openOwnPrograms(cgroupFd: number): OwnedFd[] {
  const own: OwnedFd[] = [];
  for (const id of queryDevicePrograms(cgroupFd)) {
    try {
      const fd = openProgram(id);
      if (readProgramName(fd.number) === PROGRAM_NAME) own.push(fd);
      else fd.close();
    } catch (error) {
      // Detached since the list was made.
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
  return own;
}
