/** What is worth a warning and nothing more. */
import type { Issue } from '../../errors.ts';
import { isBindMount } from '../bind-mount.ts';
import { isTmpfsOption, mountOptions } from '../mount-options.ts';
import { quote } from '../quote.ts';
import { specVersionMax } from '../versions.ts';
import { type DraftConfig, isAbsent, itemsOf } from './draft.ts';
import type { Rule } from './table.ts';

/** Remarks on a config that is accepted; callers log them as warnings. */
export const advice: readonly Rule[] = [
  { name: 'spec-version', check: adviseOnVersion },
  { name: 'capabilities', check: adviseOnCapabilities },
  { name: 'relative-destinations', check: adviseOnDestinations },
  { name: 'tmpfs-options', check: adviseOnTmpfsOptions },
  { name: 'mount-extensions', check: adviseOnMountExtensions },
  { name: 'joined-user-namespace', check: adviseOnMappings },
  { name: 'personality-flags', check: adviseOnPersonality },
  { name: 'network-devices', check: adviseOnNetDevices },
];

function adviseOnVersion({ ociVersion }: DraftConfig): Issue[] {
  const pointer = '/ociVersion';
  const [major = 1, minor = 0] = (ociVersion ?? '1.0.0').split('.').map(Number);
  const [newestMajor = 1, newestMinor = 0] = specVersionMax.split('.').map(Number);
  if (major < 1) return [{ pointer, message: `is ${quote(ociVersion)}, which predates 1.0.0: read as 1.0.0` }];
  if (major === newestMajor && minor <= newestMinor) return adviseOnForm(ociVersion ?? '1.0.0');
  return [{ pointer, message: `is ${quote(ociVersion)}, newer than ${specVersionMax}: what is new there is ignored` }];
}

/** Hand-written configs say "1.0"; runc and crun pass it over. */
function adviseOnForm(ociVersion: string): Issue[] {
  if (!/^\d+\.\d+$/.test(ociVersion)) return [];
  return [{ pointer: '/ociVersion', message: `is ${quote(ociVersion)}, no semantic version: read as ${ociVersion}.0` }];
}

// Unknown names are the planner's to warn about, who also sees those of `exec`.
function adviseOnCapabilities({ process }: DraftConfig): Issue[] {
  if (process === undefined || process.capabilities !== undefined) return [];
  return [{ pointer: '/process/capabilities', message: 'is absent: the program gets no capabilities' }];
}

function adviseOnDestinations({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [{ destination }, pointer] of itemsOf(mounts, '/mounts')) {
    if (destination === undefined || destination.startsWith('/')) continue;
    const message = `is ${quote(destination)}, a relative path, which is deprecated: taken as relative to "/"`;
    issues.push({ pointer: `${pointer}/destination`, message });
  }
  return issues;
}

// Callers that turn a tmpfs into a bind mount leave them there. Any other option of a file system is refused.
function adviseOnTmpfsOptions({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    if (!isBindMount(mount)) continue;
    for (const [option, at] of itemsOf(mount.options, `${pointer}/options`)) {
      if (!isTmpfsOption(option)) continue;
      issues.push({
        pointer: at,
        message: `is ${quote(option)}, an option of tmpfs: it has no effect on a bind mount`,
      });
    }
  }
  return issues;
}

// As with runc and crun, they are passed over where there is nothing for them to do. Id maps are refused there.
function adviseOnMountExtensions({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    const kind = isBindMount(mount) ? 'bind' : mount.type;
    for (const [option, at] of itemsOf(mount.options, `${pointer}/options`)) {
      const found = mountOptions.get(option);
      if (found?.kind !== 'extension' || found.mounts === 'any' || found.mounts === kind) continue;
      if ('idMap' in found.change) continue;
      const where = kind === 'bind' ? 'a bind mount' : `a mount of type ${quote(kind)}`;
      issues.push({ pointer: at, message: `is ${quote(option)}: it has no effect on ${where}` });
    }
  }
  return issues;
}

// containerd and CRI-O send both. Whether they are identical can only be seen in the namespace itself.
function adviseOnMappings({ linux }: DraftConfig): Issue[] {
  if (isAbsent(linux?.uidMappings)) return [];
  for (const [{ type, path }, pointer] of itemsOf(linux?.namespaces, '/linux/namespaces')) {
    if (type !== 'user' || isAbsent(path)) continue;
    return [{ pointer, message: `joins ${quote(path)} although there are mappings: they must be that namespace's` }];
  }
  return [];
}

// Not refused: the specification's own sample of network devices has no such namespace.
function adviseOnNetDevices({ linux }: DraftConfig): Issue[] {
  if (Object.keys(linux?.netDevices ?? {}).length === 0) return [];
  if (linux?.namespaces?.some((namespace) => namespace?.type === 'network') === true) return [];
  const message = 'moves network devices without a namespace of type "network" to move them into';
  return [{ pointer: '/linux/netDevices', message }];
}

function adviseOnPersonality({ linux }: DraftConfig): Issue[] {
  const flags = linux?.personality?.flags;
  if (isAbsent(flags)) return [];
  return [{ pointer: '/linux/personality/flags', message: `is ${quote(flags)}, no flag is known: ignored` }];
}
