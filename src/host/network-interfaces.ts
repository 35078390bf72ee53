import { readFileSync, readlinkSync } from 'node:fs';
import { hasErrno } from '../sys/errno.ts';

/** Counters of a network interface; `Rx` is what the container received. */
export interface NetworkInterface {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/**
 * The interfaces of a process's network namespace but for `lo`; none when it is the caller's own, whose counters are not the
 * container's, or when the process is gone. Source: man 5 proc_net.
 */
export function readNetworkInterfaces(pid: number, { proc }: { readonly proc: string }): NetworkInterface[] {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync(`${proc}/ns/net`)) return [];
    return parseNetDev(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
  } catch (error) {
    // EINVAL: a zombie has no network any more.
    if (hasErrno(error, 'ENOENT', 'ESRCH', 'EINVAL')) return [];
    throw error;
  }
}

/** The lines of /proc/PID/net/dev: a name, eight counters of what was received and eight of what was sent. */
export function parseNetDev(text: string): NetworkInterface[] {
  return text.split('\n').flatMap((line) => {
    const [, name, counters = ''] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === 'lo') return [];
    const fields = counters.trim().split(/\s+/).map(Number);
    const at = (index: number): number => fields[index] ?? 0;
    return [
      {
        name,
        rxBytes: at(0),
        rxPackets: at(1),
        rxErrors: at(2),
        rxDropped: at(3),
        txBytes: at(8),
        txPackets: at(9),
        txErrors: at(10),
        txDropped: at(11),
      },
    ];
  });
}
