import type { BlockIo, Resources, ThrottleDevice } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import { numberProperty, type UnitProperty } from '../unit-property.ts';
import { ioWeightFromBlkio, isSet } from '../values.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';
import type { Controller, SystemdOptions } from './controller.ts';
import { undoKeyed } from './keyed-file.ts';
import { resourceSection, upsert, withoutZeros } from './section.ts';

const POINTER = '/linux/resources/blockIO';

/** config-linux.md, "Block IO". What is counted is in block-io-stats.ts. */
export const blockIo: Controller = {
  names: { v1: 'blkio', v2: 'io' },
  v1: planV1,
  v2: planV2,
  systemd: planProperties,
  merge: resourceSection('blockIO', { meant: (changes) => withoutZeros(changes, 'weight', 'leafWeight'), merge }),
  undo,
};

/** Property of blockIO -> control file. */
const THROTTLE_FILES = {
  throttleReadBpsDevice: 'blkio.throttle.read_bps_device',
  throttleWriteBpsDevice: 'blkio.throttle.write_bps_device',
  throttleReadIOPSDevice: 'blkio.throttle.read_iops_device',
  throttleWriteIOPSDevice: 'blkio.throttle.write_iops_device',
} as const satisfies Partial<Record<keyof BlockIo, string>>;

function planV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const blockIO = resources.blockIO;
  if (blockIO === undefined) return [];
  return [...planWeightsV1(blockIO, place), ...planThrottlesV1(blockIO, place)];
}

function planWeightsV1(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
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

function planThrottlesV1(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(THROTTLE_FILES).flatMap(([property, file]) => {
    const devices: readonly ThrottleDevice[] = blockIO[property as keyof typeof THROTTLE_FILES] ?? [];
    return devices.map(({ major, minor, rate }, index): CgroupWrite => {
      const pointer = `${POINTER}/${property}/${index}`;
      const label = `throttle block device ${major}:${minor}`;
      return { kind: 'value', ...place, file, value: `${major}:${minor} ${rate}`, label, pointer };
    });
  });
}

/** Property of blockIO -> key in io.max. */
const THROTTLE_KEYS = {
  throttleReadBpsDevice: 'rbps',
  throttleWriteBpsDevice: 'wbps',
  throttleReadIOPSDevice: 'riops',
  throttleWriteIOPSDevice: 'wiops',
} as const satisfies Partial<Record<keyof BlockIo, string>>;

/** BFQ takes the weight as it is, io.weight has another scale. */
function planV2(resources: Resources, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const blockIO = resources.blockIO;
  if (blockIO === undefined) return [];
  if (isSet(blockIO.leafWeight)) problems.unsupported(`${POINTER}/leafWeight`, 'cgroup v2 has no leaf weight');
  return [...planWeightsV2(blockIO, place, problems), ...planThrottlesV2(blockIO, place)];
}

function planWeightsV2(blockIO: BlockIo, place: ControllerPlace, problems: Problems): CgroupWrite[] {
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

function planThrottlesV2(blockIO: BlockIo, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(THROTTLE_KEYS).flatMap(([property, key]) => {
    const devices: readonly ThrottleDevice[] = blockIO[property as keyof typeof THROTTLE_KEYS] ?? [];
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

function planProperties({ blockIO }: Resources, { unified }: SystemdOptions): UnitProperty[] {
  if (!isSet(blockIO?.weight)) return [];
  const { weight } = blockIO;
  return [
    unified
      ? numberProperty('IOWeight', BigInt(ioWeightFromBlkio(weight)))
      : numberProperty('BlockIOWeight', BigInt(weight)),
  ];
}

function merge(old: BlockIo | undefined = {}, changes: BlockIo): BlockIo {
  const lists = [
    'weightDevice',
    'throttleReadBpsDevice',
    'throttleWriteBpsDevice',
    'throttleReadIOPSDevice',
    'throttleWriteIOPSDevice',
  ] as const;
  const keyOf = ({ major, minor }: { major: number; minor: number }): string => `${major}:${minor}`;
  const merged = lists
    .filter((name) => changes[name] !== undefined)
    .map((name) => [name, upsert<{ major: number; minor: number }>(old[name], changes[name] ?? [], keyOf)]);
  return { ...old, ...changes, ...(Object.fromEntries(merged) as BlockIo) };
}

/** Files with a line for each device -> the line that takes the device's setting away. */
const KEYED: readonly (readonly [file: RegExp, none: string])[] = [
  [/^io\.max$/, 'rbps=max wbps=max riops=max wiops=max'],
  [/^io\.(bfq\.)?weight$/, 'default'],
  [/^blkio\.throttle\./, '0'],
  [/^blkio\.(bfq\.|leaf_)?weight_device$/, 'default'],
];

function undo(write: Pick<ValueWrite, 'file' | 'value'>, before: string): string[] | undefined {
  const none = KEYED.find(([file]) => file.test(write.file))?.[1];
  const keyed = none === undefined ? undefined : undoKeyed(write, before, none);
  if (keyed !== undefined || !/^(io|blkio)\..*weight$/.test(write.file)) return keyed;
  // A weight without a device is shown as `default 100`, above those of devices.
  const weight = /^(?:default )?(\d+)$/m.exec(before)?.[1];
  return weight === undefined ? undefined : [weight];
}
