import type { CgroupReference, ManagedCgroup } from '../../cgroup/cgroup.ts';
import { foreseeCgroup } from '../../cgroup/foresee.ts';
import { makeCgroup } from '../../cgroup/select.ts';
import { hasNewNamespace } from '../../plan/base/context.ts';
import type { OverlayLayers } from '../../plan/base/layers.ts';
import { hasOwnPids } from '../../plan/choose-container.ts';
import { planOwners } from '../../plan/rootfs/owners.ts';
import type { Runtime } from '../caller/caller.ts';
import type { ContainerRecord } from '../store/record.ts';
import type { Attempt } from './attempt.ts';
import type { PreparedContainer } from './prepare-container.ts';
import { removeResctrl, Resctrl } from './resctrl.ts';

/** Where the processes of a container are going to be. */
export interface Groups {
  readonly cgroup: ManagedCgroup;
  readonly resctrl: Resctrl | undefined;
}

/**
 * Makes the cgroups and the resctrl groups of a container, and the first record, which finds them again: it is written before they are
 * made. Errors: `cgroup`, `host`, `state`.
 */
export function makeGroups(runtime: Runtime, attempt: Attempt, prepared: PreparedContainer): Groups {
  const { plan } = prepared;
  const resctrl = makeResctrl(prepared);
  attempt.rememberFirst({
    ...firstRecord(runtime, prepared, foreseeCgroup(plan.cgroup)),
    ...(resctrl === undefined ? {} : { resctrl: resctrl.preview() }),
  });
  const cgroup = makeCgroup(plan.cgroup, runtime.caller.buses);
  // Hooks that ran in the container may have left processes in it.
  attempt.undoWith('remove the cgroup', () => cgroup.remove({ kill: true }));
  const made = resctrl?.make();
  if (made !== undefined) {
    attempt.undoWith('remove what was made in resctrl', () => {
      removeResctrl(made);
    });
  }
  // Mostly the groups are as they were foreseen, and the record says so already.
  attempt.remember({ cgroup: cgroup.reference, ...(made === undefined ? {} : { resctrl: made }) });
  return { cgroup, resctrl };
}

/** The planner has refused a config that wants resctrl where there is none. */
function makeResctrl({ plan, bundle }: PreparedContainer): Resctrl | undefined {
  const { resctrl } = bundle.facts;
  return plan.intelRdt === undefined || resctrl === undefined ? undefined : new Resctrl(resctrl, plan.intelRdt);
}

function firstRecord(
  { caller }: Runtime,
  { options, bundle, directory, plan }: PreparedContainer,
  cgroup: CgroupReference,
): ContainerRecord {
  const { config, facts } = bundle;
  return {
    version: 1,
    id: directory.id,
    bundle: facts.bundle,
    rootfs: facts.rootfs,
    created: new Date().toISOString(),
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
    creator: caller.identity,
    isComplete: false,
    cgroup,
    ...(plan.overlay === undefined ? {} : { layer: plan.overlay }),
    preserveFds: options.preserved.length,
    isChrooted: options.noPivot || !hasNewNamespace(config, 'mount'),
    hasPidNamespace: hasOwnPids(config),
  };
}

/** Makes the layer over the rootfs, of which the record knows already. Errors: `exists`, `host`. */
export async function layer(
  attempt: Attempt,
  layers: OverlayLayers,
  { plan, host }: Pick<PreparedContainer, 'plan' | 'host'>,
): Promise<void> {
  const { makeLayer, removeLayer } = await import('../layers/layer.ts');
  const { directory } = attempt;
  attempt.undoWith('remove the layer', () => removeLayer(layers, directory));
  await makeLayer(layers, directory, planOwners(plan.idMaps, host.identity));
}

/** Mounts the rootfs over itself; the record knows of that before it is done. Errors: `host`, `state`. */
export async function coverRoot({ caller }: Runtime, attempt: Attempt, { bundle }: PreparedContainer): Promise<void> {
  const { coverRootfs, previewRootfsCover, uncoverRootfs } = await import('./rootfs-cover.ts');
  const rootfsCover = previewRootfsCover(bundle.facts.rootfs);
  attempt.remember({ rootfsCover });
  coverRootfs(rootfsCover);
  attempt.undoWith('unmount the rootfs', () => {
    uncoverRootfs(rootfsCover, caller);
  });
}
