/** config-linux.md, "User namespace mappings", and the mappings of config.md, "Mounts". */
import type { Issue } from '../../errors.ts';
import type { IdMapping } from '../generated/config.ts';
import { pointerTo } from '../pointer.ts';
import { type Draft, type DraftConfig, hasNamespace, isAbsent, isDamaged, itemsOf, makesNamespace } from './draft.ts';

type Mappings = readonly (Draft<IdMapping> | undefined)[] | undefined;

// UID_GID_MAP_MAX_EXTENTS of the kernel's include/linux/user_namespace.h.
const mostRanges = 340;

// One past the last id: 4294967295 means "no id" everywhere.
const idsEnd = 4294967295;

/** A new user namespace has mappings for both users and groups, and mappings have a user namespace. */
export function checkUserNamespace(config: DraftConfig): Issue[] {
  const linux = config.linux ?? {};
  const names = ['uidMappings', 'gidMappings'] as const;
  const missing = names.filter((name) => isAbsent(linux[name]) && !isDamaged(linux, name));
  if (missing.length < 2 && !hasNamespace(config, 'user')) {
    const found = 'has uidMappings or gidMappings, wanted a namespace of type "user" for them';
    return [
      { pointer: '/linux', message: `${found}: user namespace mappings specified, but user namespace isn't enabled` },
    ];
  }
  if (missing.length === 1)
    return [{ pointer: '/linux', message: `lacks the property "${missing[0]}", ${wantedBoth}` }];
  const definitelyNew = (linux.namespaces ?? []).some((entry) => entry?.type === 'user');
  if (missing.length === 0 || !definitelyNew || !makesNamespace(config, 'user')) return [];
  const found = 'lacks the properties "uidMappings" and "gidMappings"';
  return [{ pointer: '/linux', message: `${found}, wanted them or a path to join for the namespace of type "user"` }];
}

const wantedBoth = 'wanted uidMappings and gidMappings together';

/** The ranges of a user namespace's mappings do not overlap and end below 2^32 - 1. */
export function checkIdRanges({ linux }: DraftConfig): Issue[] {
  return [
    ...checkRanges(linux?.uidMappings, '/linux/uidMappings'),
    ...checkRanges(linux?.gidMappings, '/linux/gidMappings'),
  ];
}

/** The same for the mappings of mounts, which are also given for both users and groups. */
export function checkMountIdRanges({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    const name = isAbsent(mount.uidMappings) ? 'uidMappings' : 'gidMappings';
    if (isAbsent(mount.uidMappings) !== isAbsent(mount.gidMappings) && !isDamaged(mount, name)) {
      issues.push({ pointer, message: `lacks the property "${name}", ${wantedBoth}` });
    }
    issues.push(...checkRanges(mount.uidMappings, `${pointer}/uidMappings`));
    issues.push(...checkRanges(mount.gidMappings, `${pointer}/gidMappings`));
  }
  return issues;
}

function checkRanges(mappings: Mappings, base: string): Issue[] {
  if (mappings === undefined) return [];
  const issues = [...checkOverlaps(mappings, 'containerID', base), ...checkOverlaps(mappings, 'hostID', base)];
  if (mappings.length <= mostRanges) return issues;
  return [{ pointer: base, message: `has ${mappings.length} ranges, wanted at most ${mostRanges}` }, ...issues];
}

function checkOverlaps(mappings: NonNullable<Mappings>, side: 'containerID' | 'hostID', base: string): Issue[] {
  const ranges = mappings.flatMap((mapping, index) => {
    const start = mapping?.[side];
    return start === undefined || mapping?.size === undefined ? [] : [{ start, end: start + mapping.size, index }];
  });
  ranges.sort((a, b) => a.start - b.start);
  const issues: Issue[] = [];
  let previous = { end: 0, index: -1 };
  for (const range of ranges) {
    const pointer = pointerTo(base, range.index);
    if (range.end > idsEnd) {
      issues.push({ pointer, message: `has ${side} up to ${range.end - 1}, wanted ids below ${idsEnd}` });
    }
    if (range.start < previous.end) {
      const other = pointerTo(base, previous.index);
      issues.push({ pointer, message: `overlaps ${other} in ${side} ${range.start}, wanted ranges apart` });
    }
    if (range.end > previous.end) previous = range;
  }
  return issues;
}
