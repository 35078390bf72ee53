import type { Config, IdMapping } from '../../spec/generated/config.ts';
import { hasNewNamespace } from '../base/context.ts';
import type { IdentityFacts } from '../base/facts.ts';

/** What the parent writes once init has entered its new user namespace. */
export interface IdMapPlan {
  readonly uid: readonly Readonly<IdMapping>[];
  readonly gid: readonly Readonly<IdMapping>[];
  /** Through newuidmap/newgidmap, because the caller may not map these ids itself. */
  readonly uidTool: boolean;
  readonly gidTool: boolean;
  /** An unprivileged map of groups is allowed only where setgroups(2) is given up (CVE-2014-8989). */
  readonly denySetgroups: boolean;
}

/**
 * The id maps of a container with a new user namespace; undefined without one.
 *
 * Source: config-linux.md, "User namespace mappings"; man 7 user_namespaces.
 */
export function planIdMaps(config: Config, identity: Pick<IdentityFacts, 'euid' | 'egid'>): IdMapPlan | undefined {
  if (!hasNewNamespace(config, 'user')) return undefined;
  const uid = config.linux?.uidMappings ?? [];
  const gid = config.linux?.gidMappings ?? [];
  // Root of a user namespace too may map what that namespace has (man 7 user_namespaces).
  const privileged = identity.euid === 0;
  const uidTool = !privileged && !isOwnIdOnly(uid, identity.euid);
  const gidTool = !privileged && !isOwnIdOnly(gid, identity.egid);
  return { uid, gid, uidTool, gidTool, denySetgroups: !privileged && !gidTool };
}

function isOwnIdOnly(ranges: readonly Readonly<IdMapping>[], own: number): boolean {
  const [first] = ranges;
  return ranges.length === 1 && first?.hostID === own && first.size === 1;
}
