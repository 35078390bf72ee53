import type { Config } from '../spec/generated/config.ts';
import type { IdentityFacts } from './base/facts.ts';
import { planIdMaps } from './namespaces/id-maps.ts';
import { planIdmapNamespaces } from './rootfs/idmapped-mounts.ts';
import { parseMountOptions } from './rootfs/mount-options.ts';

/** What keeps a process that works for another from doing an operation in its place: it would take a process of that one, or long. */
export type Obstacle = 'hooks' | 'helper-process' | 'copy-up';

/** The operations that a config has a say in. */
export type ReviewedOperation = 'create' | 'start' | 'delete';

/** The hooks that an operation runs in the runtime's namespaces, or that go with what it makes (config.md, "POSIX-platform Hooks"). */
const HOOKS = {
  create: ['prestart', 'createRuntime', 'poststart', 'poststop'],
  start: ['poststart', 'poststop'],
  delete: ['poststop'],
} as const;

/** The first obstacle to an operation on a container with this config; undefined where there is none. */
export function findObstacle(
  config: Config,
  operation: ReviewedOperation,
  identity: Pick<IdentityFacts, 'euid' | 'egid'>,
): Obstacle | undefined {
  if (HOOKS[operation].some((kind) => (config.hooks?.[kind] ?? []).length > 0)) return 'hooks';
  if (operation !== 'create') return undefined;
  const maps = planIdMaps(config, identity);
  const makesNamespaces = planIdmapNamespaces(config).some(({ kind }) => kind === 'new');
  if (makesNamespaces || maps?.uidTool === true || maps?.gidTool === true) return 'helper-process';
  const copiesUp = (config.mounts ?? []).some(({ options = [] }) => parseMountOptions(options).manner.copyUp);
  return copiesUp ? 'copy-up' : undefined;
}
