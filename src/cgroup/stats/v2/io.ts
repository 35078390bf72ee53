import type { BlkioEntry, BlkioStats } from '../document.ts';
import { parseInteger, readLines } from '../read.ts';
import { NO_BLKIO } from '../v1/blkio.ts';
import { readPressure } from './pressure.ts';

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
export function readIoV2(hostPath: string): BlkioStats {
  const lists: Record<'serviceBytes' | 'serviced', BlkioEntry[]> = { serviceBytes: [], serviced: [] };
  for (const line of readLines(hostPath, 'io.stat')) {
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
  return { ...NO_BLKIO, ...lists, ...readPressure(hostPath, 'io.pressure') };
}
