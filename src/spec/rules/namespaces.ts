/** config-linux.md, "Namespaces", "Offset for Time Namespace" and "Network Devices". */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, hasNamespace, isAbsent, itemsOf, makesNamespace, membersOf } from './draft.ts';

/** Each type of namespace is listed at most once. */
export function checkNamespaces({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [{ type }, pointer] of itemsOf(linux?.namespaces, '/linux/namespaces')) {
    if (type === undefined) continue;
    if (seen.has(type)) issues.push({ pointer, message: `is a second namespace of type ${quote(type)}, wanted one` });
    seen.add(type);
  }
  return issues;
}

/** Clock offsets can only be written for a time namespace that is new. */
export function checkTimeOffsets(config: DraftConfig): Issue[] {
  const offsets = config.linux?.timeOffsets;
  if (offsets === undefined || Object.keys(offsets).length === 0 || makesNamespace(config, 'time')) return [];
  const found = hasNamespace(config, 'time') ? 'has offsets for a time namespace that is joined' : 'has offsets';
  return [{ pointer: '/linux/timeOffsets', message: `${found}, wanted a namespace of type "time" without a path` }];
}

/** Network devices are moved into a network namespace of the container's, under valid names that differ. */
export function checkNetDevices(config: DraftConfig): Issue[] {
  const devices = config.linux?.netDevices;
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [device, pointer, hostName] of membersOf(devices, '/linux/netDevices')) {
    const name = isAbsent(device.name) ? hostName : (device.name ?? hostName);
    if (!isDeviceName(hostName)) issues.push({ pointer, message: `is named ${quote(hostName)}, ${wantedDeviceName}` });
    if (!isDeviceName(name.replace('%d', '0'))) {
      issues.push({ pointer: `${pointer}/name`, message: `is ${quote(name)}, ${wantedDeviceName}` });
    }
    if (seen.has(name) && !name.includes('%d')) {
      issues.push({ pointer, message: `is the second device named ${quote(name)} in the container, wanted one` });
    }
    seen.add(name);
  }
  return issues;
}

const wantedDeviceName = 'wanted 1 to 15 characters without white space, "/", ":" and "%"';

// dev_valid_name() of the kernel's net/core/dev.c; `%` only where the kernel expands it.
function isDeviceName(name: string): boolean {
  return /^[^\s/:%]{1,15}$/.test(name) && name !== '.' && name !== '..';
}
