import type { BlockIo, Resources, ThrottleDevice } from '../../../spec/generated/config.ts';
import { isSet } from '../values.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';

const POINTER = '/linux/resources/blockIO';

/** Property of blockIO -> control file. */
const THROTTLES = {
  throttleReadBpsDevice: 'blkio.throttle.read_bps_device',
  throttleWriteBpsDevice: 'blkio.throttle.write_bps_device',
  throttleReadIOPSDevice: 'blkio.throttle.read_iops_device',
  throttleWriteIOPSDevice: 'blkio.throttle.write_iops_device',
} as const satisfies Partial<Record<keyof BlockIo, string>>;

/** config-linux.md, "Block IO", on cgroup v1. */
export function planBlkioV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const blockIO = resources.blockIO;
  if (blockIO === undefined) return [];
  return [...planWeights(blockIO, place), ...planThrottles(blockIO, place)];
}

function planWeights(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { weight, leafWeight } = blockIO;
  if (isSet(weight)) {
    const common = {
      kind: 'value',
      ...place,
      value: String(weight),
      label: 'set blockIO.weight',
      pointer: `${POINTER}/weight`,
    } as const;
    writes.push(withBfq({ ...common, file: 'blkio.weight' }));
  }
  if (isSet(leafWeight)) {
    const label = 'set blockIO.leafWeight';
    const pointer = `${POINTER}/leafWeight`;
    writes.push({ kind: 'value', ...place, file: 'blkio.leaf_weight', value: String(leafWeight), label, pointer });
  }
  (blockIO.weightDevice ?? []).forEach(({ major, minor, weight, leafWeight }, index) => {
    const pointer = `${POINTER}/weightDevice/${index}`;
    const common = {
      kind: 'value',
      ...place,
      label: `set the weight of block device ${major}:${minor}`,
      pointer,
    } as const;
    if (isSet(weight))
      writes.push(withBfq({ ...common, file: 'blkio.weight_device', value: `${major}:${minor} ${weight}` }));
    if (isSet(leafWeight))
      writes.push({ ...common, file: 'blkio.leaf_weight_device', value: `${major}:${minor} ${leafWeight}` });
  });
  return writes;
}

/** The scheduler that knew blkio.weight left the kernel in 5.0; since then the files are those of BFQ. */
function withBfq(write: ValueWrite): ValueWrite {
  return { ...write, orElse: { ...write, file: write.file.replace('blkio.', 'blkio.bfq.') } };
}

function planThrottles(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(THROTTLES).flatMap(([property, file]) => {
    const devices: readonly ThrottleDevice[] = blockIO[property as keyof typeof THROTTLES] ?? [];
    return devices.map(({ major, minor, rate }, index): CgroupWrite => {
      const pointer = `${POINTER}/${property}/${index}`;
      const label = `throttle block device ${major}:${minor}`;
      return { kind: 'value', ...place, file, value: `${major}:${minor} ${rate}`, label, pointer };
    });
  });
}
