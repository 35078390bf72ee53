import { readFileSync } from 'node:fs';

/**
 * A number that the kernel tells of a descriptor of this process, by the name of its line: `mnt_id`, `Pid` of a pidfd. NaN where there
 * is no such line. Source: man 5 proc_pid_fdinfo.
 */
export function readDescriptorInfo(fd: number, name: 'mnt_id' | 'Pid'): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return Number(new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(text)?.[1]);
}
