import { existsSync, readSync } from 'node:fs';
import path from 'node:path';
import type { Integer } from '../plan/cgroup/values.ts';
import { hasErrno } from '../sys/errno.ts';
import { eventfd } from '../sys/events/eventfd.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { POLLPRI, type Interest } from '../sys/events/poll.ts';
import { O_RDONLY, POLLIN } from '../util/constants.ts';
import { cgroupError, writeControlFile } from './control-file.ts';
import type { CgroupReference } from './cgroup.ts';
import { parseInteger, readTable } from '../plan/cgroup/controllers/counters.ts';
import { counterReader } from './stats/read.ts';

type Directories = Pick<CgroupReference, 'directories'>;

/**
 * How often the kernel has killed a process of the container for want of memory; 0 where nobody counts.
 *
 * systemd removes a cgroup whose last process was killed, with its count. The cgroup above counts too, though for others as well.
 */
export function readOomKills(reference: Pick<CgroupReference, 'directories' | 'manager'>): Integer {
  const place = findMemory(reference);
  if (place === undefined) return 0;
  if (place.kind === 'v1') return readTable(counterReader(place.hostPath), 'memory.oom_control')['oom_kill'] ?? 0;
  const counter = reference.manager === 'systemd' ? path.dirname(place.hostPath) : place.hostPath;
  return readTable(counterReader(counter), 'memory.events')['oom_kill'] ?? 0;
}

/** Tells that a container ran out of memory. */
export interface OomWatch extends Disposable {
  /** To be waited for; undefined where memory is not limited by a cgroup. */
  readonly entry: Interest | undefined;
  /** Whether it ran out of memory since the last call. */
  take(): boolean;
}

/** Watches a container run out of memory, from now on. The caller disposes of it. Errors: `cgroup`, `host`. */
export function watchOom(reference: Directories): OomWatch {
  const place = findMemory(reference);
  if (place === undefined) return { entry: undefined, take: () => false, [Symbol.dispose]: () => undefined };
  return place.kind === 'v1' ? watchV1(place.hostPath) : watchV2(place.hostPath);
}

function findMemory({ directories }: Directories): { kind: 'v1' | 'v2'; hostPath: string } | undefined {
  const v1 = directories.find(({ kind, controllers }) => kind === 'v1' && controllers.includes('memory'));
  return v1 ?? directories.find(({ kind, controllers }) => kind === 'v2' && controllers.includes('memory'));
}

/** v1 raises an eventfd that was registered for memory.oom_control. Source: Documentation/admin-guide/cgroup-v1/memory.rst. */
function watchV1(hostPath: string): OomWatch {
  const counter = eventfd();
  const control = `${hostPath}/cgroup.event_control`;
  try {
    using file = openFile(`${hostPath}/memory.oom_control`, O_RDONLY);
    writeControlFile(control, `${counter.number} ${file.number}`);
  } catch (error) {
    counter.close();
    throw cgroupError(`watch ${JSON.stringify(hostPath)} for want of memory`, error);
  }
  return {
    entry: { fd: counter.number, events: POLLIN },
    // The removal of the cgroup raises it too.
    take: () => readCounter(counter) && existsSync(control),
    [Symbol.dispose]: () => {
      counter.close();
    },
  };
}

function readCounter(counter: OwnedFd): boolean {
  try {
    return readSync(counter.number, Buffer.alloc(8)) === 8;
  } catch (error) {
    if (hasErrno(error, 'EAGAIN')) return false;
    throw error;
  }
}

/** v2 makes memory.events pollable: it has a priority event after each change until it is read again. */
function watchV2(hostPath: string): OomWatch {
  const file = openFile(`${hostPath}/memory.events`, O_RDONLY);
  let last = readEvents(file);
  return {
    entry: { fd: file.number, events: POLLPRI },
    take: () => {
      const now = readEvents(file);
      const grew = now > last;
      last = now;
      return grew;
    },
    [Symbol.dispose]: () => {
      file.close();
    },
  };
}

function readEvents(file: OwnedFd): Integer {
  const buffer = Buffer.alloc(4096);
  try {
    const text = buffer.toString('latin1', 0, readSync(file.number, buffer, 0, buffer.length, 0));
    return parseInteger(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? '0');
  } catch (error) {
    // The cgroup is gone.
    if (hasErrno(error, 'ENODEV')) return 0;
    throw error;
  }
}
