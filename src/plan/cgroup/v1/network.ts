import type { Resources } from '../../../spec/generated/config.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

/** config-linux.md, "Network", classID. */
export function planNetClsV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const classID = resources.network?.classID;
  if (classID === undefined) return [];
  const pointer = '/linux/resources/network/classID';
  return [
    { kind: 'value', ...place, file: 'net_cls.classid', value: String(classID), label: 'set network.classID', pointer },
  ];
}

/** config-linux.md, "Network", priorities: one interface a write. */
export function planNetPrioV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  return (resources.network?.priorities ?? []).map(({ name, priority }, index): CgroupWrite => {
    const pointer = `/linux/resources/network/priorities/${index}`;
    const label = `set the priority of network interface ${JSON.stringify(name)}`;
    return { kind: 'value', ...place, file: 'net_prio.ifpriomap', value: `${name} ${priority}`, label, pointer };
  });
}
