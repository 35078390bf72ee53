import type { BlkioEntry, BlkioStats } from '../stats.ts';
import type { Counted } from './controller.ts';
import { parseInteger, readPressure, type CounterReader } from './counters.ts';

const NO_BLKIO: BlkioStats = {
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
function readBlkioV1(files: CounterReader): BlkioStats {
  const list = (file: string): BlkioEntry[] => parseEntries(files.lines(file));
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

/** Key in io.stat -> the list and the name of the operation on v1. */
const COUNTERS = {
  rbytes: ['serviceBytes', 'Read'],
  wbytes: ['serviceBytes', 'Write'],
  dbytes: ['serviceBytes', 'Discard'],
  rios: ['serviced', 'Read'],
  wios: ['serviced', 'Write'],
  dios: ['serviced', 'Discard'],
} as const;

/** Block I/O, from lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`. */
function readIoV2(files: CounterReader): BlkioStats {
  const lists: Record<'serviceBytes' | 'serviced', BlkioEntry[]> = { serviceBytes: [], serviced: [] };
  for (const line of files.lines('io.stat')) {
    const [device = '', ...fields] = line.split(' ');
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
    if (minor === undefined) continue;
    for (const field of fields) {
      const [key = '', text = ''] = field.split('=');
      if (!Object.hasOwn(COUNTERS, key)) continue;
      const [list, op] = COUNTERS[key as keyof typeof COUNTERS];
      lists[list].push({ major: Number(major), minor: Number(minor), op, value: parseInteger(text) });
    }
  }
  return { ...NO_BLKIO, ...lists, ...readPressure(files, 'io.pressure') };
}

/** Block I/O, by device and kind of operation. */
export const blockIoStats: Counted<BlkioStats> = { v1: readBlkioV1, v2: readIoV2, none: NO_BLKIO };
