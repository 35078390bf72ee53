import type { NetworkResources, Resources } from '../../../spec/generated/config.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';
import type { Controller } from './controller.ts';
import { undoKeyed } from './keyed-file.ts';
import { resourceSection, upsert } from './section.ts';

/** config-linux.md, "Network", classID. The two controllers share a section, whose updates are here. */
export const netCls: Controller = {
  names: { v1: 'net_cls' },
  v1: planClass,
  merge: resourceSection('network', { merge }),
};

/** config-linux.md, "Network", priorities. */
export const netPrio: Controller = {
  names: { v1: 'net_prio' },
  v1: planPriorities,
  undo: (write, before) => (write.file === 'net_prio.ifpriomap' ? undoKeyed(write, before, '0') : undefined),
};

function planClass(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const classID = resources.network?.classID;
  if (classID === undefined) return [];
  const pointer = '/linux/resources/network/classID';
  return [
    { kind: 'value', ...place, file: 'net_cls.classid', value: String(classID), label: 'set network.classID', pointer },
  ];
}

/** One interface a write. */
function planPriorities(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  return (resources.network?.priorities ?? []).map(({ name, priority }, index): CgroupWrite => {
    const pointer = `/linux/resources/network/priorities/${index}`;
    const label = `set the priority of network interface ${JSON.stringify(name)}`;
    return { kind: 'value', ...place, file: 'net_prio.ifpriomap', value: `${name} ${priority}`, label, pointer };
  });
}

function merge(old: NetworkResources | undefined = {}, changes: NetworkResources): NetworkResources {
  if (changes.priorities === undefined) return { ...old, ...changes };
  return { ...old, ...changes, priorities: upsert(old.priorities, changes.priorities, ({ name }) => name) };
}
