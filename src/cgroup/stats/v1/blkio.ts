import type { BlkioEntry, BlkioStats } from '../document.ts';
import { parseInteger, readLines } from '../read.ts';

export const NO_BLKIO: BlkioStats = {
  serviceBytes: [],
  serviced: [],
  queued: [],
  serviceTime: [],
  waitTime: [],
  merged: [],
  time: [],
  sectors: [],
};

/** Infix of the control files -> they are read from. BFQ took the place of CFQ in 5.0; throttling counts with either or none. */
const SCHEDULERS = ['blkio.', 'blkio.bfq.'];

/** Block I/O, from the scheduler if it counts, else from throttling. */
export function readBlkioV1(hostPath: string): BlkioStats {
  const list = (file: string): BlkioEntry[] => parseEntries(readLines(hostPath, file));
  const scheduler = SCHEDULERS.find((prefix) => list(`${prefix}io_serviced_recursive`).length > 0);
  if (scheduler === undefined) {
    const serviceBytes = list('blkio.throttle.io_service_bytes_recursive');
    const serviced = list('blkio.throttle.io_serviced_recursive');
    return { ...NO_BLKIO, serviceBytes, serviced };
  }
  return {
    serviceBytes: list(`${scheduler}io_service_bytes_recursive`),
    serviced: list(`${scheduler}io_serviced_recursive`),
    queued: list(`${scheduler}io_queued_recursive`),
    serviceTime: list(`${scheduler}io_service_time_recursive`),
    waitTime: list(`${scheduler}io_wait_time_recursive`),
    merged: list(`${scheduler}io_merged_recursive`),
    time: list(`${scheduler}time_recursive`),
    sectors: list(`${scheduler}sectors_recursive`),
  };
}

/** Lines `8:0 Read 4096` or `8:0 4096`; the sum of all devices, `Total 4096`, is left out. */
function parseEntries(lines: readonly string[]): BlkioEntry[] {
  return lines.flatMap((line): BlkioEntry[] => {
    const [, major, minor, op = '', value] = /^(\d+):(\d+) (?:([A-Za-z]+) )?(\d+)$/.exec(line) ?? [];
    if (value === undefined) return [];
    return [{ major: Number(major), minor: Number(minor), op, value: parseInteger(value) }];
  });
}
