import type { Config } from '../spec/generated/config.ts';
import { GoCold } from './reasons.ts';
import type { Paths } from './paths.ts';

/** Hooks that are processes of the runtime, in its namespaces. */
const OF_THE_RUNTIME = ['prestart', 'createRuntime', 'poststart', 'poststop'] as const;

/** Leaves a container to the caller's engine that needs processes of the caller, or long work. Errors: `GoCold`. */
export function reviewConfig(
  { hooks, mounts = [], linux }: Config,
  { uid, paths }: { readonly uid: number; readonly paths: Paths },
): void {
  if (OF_THE_RUNTIME.some((kind) => (hooks?.[kind] ?? []).length > 0)) throw new GoCold('hooks');
  const isMapped = mounts.some(
    ({ uidMappings, gidMappings }) => uidMappings !== undefined || gidMappings !== undefined,
  );
  const hasIdmap = isMapped || mounts.some(({ options = [] }) => options.some((option) => /^r?idmap/.test(option)));
  const mapped = [...(linux?.uidMappings ?? []), ...(linux?.gidMappings ?? [])];
  // newuidmap and newgidmap write what is more than the caller itself.
  const needsTool = uid !== 0 && mapped.some(({ size, hostID }) => size !== 1 || hostID !== uid);
  if (hasIdmap || needsTool) throw new GoCold('helper-process');
  if (mounts.some(({ options = [] }) => options.includes('tmpcopyup'))) throw new GoCold('copy-up');
  for (const { source } of mounts) if (source?.startsWith('/') === true) paths.requireFast(source);
}
