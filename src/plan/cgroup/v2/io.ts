import type { BlockIo, Resources, ThrottleDevice } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import { ioWeightFromBlkio, isSet } from '../values.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

const POINTER = '/linux/resources/blockIO';

/** Property of blockIO -> key in io.max. */
const THROTTLES = {
  throttleReadBpsDevice: 'rbps',
  throttleWriteBpsDevice: 'wbps',
  throttleReadIOPSDevice: 'riops',
  throttleWriteIOPSDevice: 'wiops',
} as const satisfies Partial<Record<keyof BlockIo, string>>;

/** config-linux.md, "Block IO", on cgroup v2: BFQ takes the weight as it is, io.weight has another scale. */
export function planIoV2(resources: Resources, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const blockIO = resources.blockIO;
  if (blockIO === undefined) return [];
  if (isSet(blockIO.leafWeight)) problems.unsupported(`${POINTER}/leafWeight`, 'cgroup v2 has no leaf weight');
  return [...planWeights(blockIO, place, problems), ...planThrottles(blockIO, place)];
}

function planWeights(blockIO: BlockIo, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const weigh = (weight: number, device: string, common: { label: string; pointer: string }): void => {
    const converted = `${device}${ioWeightFromBlkio(weight)}`;
    const orElse = { kind: 'value', ...place, ...common, file: 'io.weight', value: converted } as const;
    writes.push({ kind: 'value', ...place, ...common, file: 'io.bfq.weight', value: `${device}${weight}`, orElse });
  };
  if (isSet(blockIO.weight)) weigh(blockIO.weight, '', { label: 'set blockIO.weight', pointer: `${POINTER}/weight` });
  (blockIO.weightDevice ?? []).forEach(({ major, minor, weight, leafWeight }, index) => {
    const pointer = `${POINTER}/weightDevice/${index}`;
    if (isSet(leafWeight)) problems.unsupported(`${pointer}/leafWeight`, 'cgroup v2 has no leaf weight');
    if (isSet(weight))
      weigh(weight, `${major}:${minor} `, { label: `set the weight of block device ${major}:${minor}`, pointer });
  });
  return writes;
}

function planThrottles(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(THROTTLES).flatMap(([property, key]) => {
    const devices: readonly ThrottleDevice[] = blockIO[property as keyof typeof THROTTLES] ?? [];
    return devices.map(({ major, minor, rate }, index): CgroupWrite => {
      const pointer = `${POINTER}/${property}/${index}`;
      // On v1 a rate of 0 removes the limit; io.max refuses 0 (ERANGE).
      const value = `${major}:${minor} ${key}=${isSet(rate) ? String(rate) : 'max'}`;
      return {
        kind: 'value',
        ...place,
        file: 'io.max',
        value,
        label: `throttle block device ${major}:${minor}`,
        pointer,
      };
    });
  });
}
