import { TsrunError } from '../../errors.ts';
import { call } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Mount } from '../../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  CAP_SYS_ADMIN,
  MOUNT_ATTR_IDMAP,
  MS_REC,
  MS_REMOUNT,
  MS_SLAVE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../util/constants.ts';
import { holdsCapability } from '../base/facts.ts';
import { findNamespace, hasNewNamespace, type PlanContext } from '../base/context.ts';
import type { BundleFacts, SourceKind } from '../base/facts.ts';
import { components, openInRoot } from '../base/handles.ts';
import { closeHandle, withHandle } from '../base/with-handle.ts';
import { idmapNamespaceOf } from './idmapped-mounts.ts';
import { changePropagation, requireMountSetattr } from './mount-attributes.ts';
import { parseMountOptions, type ParsedMountOptions } from './mount-options.ts';
import { openRootfs } from './rootfs.ts';
import { MOUNT_ATTR_SIZE, mountAttr } from '../../program/structs.ts';

/** Absolute path of a bind mount's source on the host: a relative one lies in the bundle. */
export function bindSource(mount: Mount, bundle: string): string {
  const source = mount.source ?? '';
  return source.startsWith('/') ? source : `${bundle}/${source}`;
}

/** A bind mount of the config, with what is known about its source. */
export interface BindMount {
  readonly mount: Mount;
  /** Of mounts[]. */
  readonly index: number;
  readonly options: ParsedMountOptions;
  /** Absolute path on the host. */
  readonly source: string;
  /** The source as a path inside the rootfs, where it lies there: only its turn tells what is at it, as mounts are made. */
  readonly inRootfs: string | undefined;
  /** The text of the symlink that `copy-symlink` copies in place of a mount. */
  readonly copiedLink: string | undefined;
}

/** Works out from its options and from what the host says where the source of a bind mount is. `index` is its place in mounts[]. */
export function makeBindMount({ bundle }: Pick<PlanContext, 'bundle'>, mount: Mount, index: number): BindMount {
  const source = bindSource(mount, bundle.bundle);
  const options = parseMountOptions(mount.options ?? []);
  const copiedLink = options.manner.sourceLink === 'copy' ? bundle.links?.[source] : undefined;
  return { mount, index, options, source, inRootfs: bundle.inRootfs?.[source], copiedLink };
}

/** What lies at the source of a bind mount, as far as its options let symlinks be followed. */
export function sourceKind(bundle: BundleFacts, { source, options }: BindMount): SourceKind | undefined {
  const isLink = bundle.links?.[source] !== undefined;
  return isLink && options.manner.sourceLink !== 'follow' ? 'file' : bundle.sources[source];
}

/** `bind "/source" on "/destination"`, for labels. */
export function describeBind({ mount, source }: BindMount): string {
  return `bind ${JSON.stringify(source)} on ${JSON.stringify(mount.destination)}`;
}

/**
 * Opens the sources of bind mounts in the process that still has the host's privileges, where the container has a user namespace:
 * its root may be unable to reach them, and only the host's root may give a mount its id map. Sources inside the rootfs wait for
 * their turn: an earlier mount may provide them.
 *
 * Returns the steps and the words that hold the mounts, by index of the mount. Errors: `unsupported` for an id-mapped mount of what
 * an earlier one provides.
 */
export function planHostTrees(context: PlanContext): { steps: Step[]; trees: ReadonlyMap<number, Region> } {
  const trees = new Map<number, Region>();
  const separate = findNamespace(context.config, 'user') !== undefined && hasNewNamespace(context.config, 'mount');
  // An ordinary user has no privileges that the container's root lacks; the sources are then opened by the latter.
  if (!separate || !context.host.kernel.mountSetattr || !mayMount(context)) return { steps: [], trees };
  const steps = bindMounts(context).flatMap((bind) => {
    const isMapped = idmapNamespaceOf(context.config, bind.mount) !== undefined;
    if (bind.copiedLink !== undefined || (bind.options.flags & MS_REMOUNT) !== 0) return [];
    if (bind.inRootfs !== undefined && !isMapped) return [];
    if (bind.inRootfs !== undefined && context.options.overlay !== undefined) refuseLayered(bind);
    if (bind.inRootfs !== undefined) refuseProvided(context, bind, bind.inRootfs);
    const tree = context.memory.word(`tree-${bind.index}`);
    trees.set(bind.index, tree);
    return openHostTree(context, bind, tree);
  });
  return { steps, trees };
}

function mayMount({ host }: PlanContext): boolean {
  return holdsCapability(host, CAP_SYS_ADMIN);
}

function bindMounts(context: PlanContext): BindMount[] {
  return (context.config.mounts ?? []).flatMap((mount, index) =>
    isBindMount(mount) ? [makeBindMount(context, mount, index)] : [],
  );
}

/** The id map needs the host's privileges, and what an earlier mount provides is there only when those are gone. */
function refuseProvided({ config }: PlanContext, bind: BindMount, inRootfs: string): void {
  const parts = components(inRootfs);
  const isProvided = (config.mounts ?? [])
    .slice(0, bind.index)
    .some(({ destination }) => components(destination).every((part, depth) => parts[depth] === part));
  if (!isProvided) return;
  const problem = 'an earlier mount provides the source, which cannot be id-mapped in a user namespace';
  throw new TsrunError('unsupported', `${describeBind(bind)}: ${problem}`, { pointer: `/mounts/${bind.index}/source` });
}

/** What is mapped from the rootfs itself would be changed there, below the layer. */
function refuseLayered(bind: BindMount): void {
  const problem = 'the source lies in the rootfs, which is below a layer: it cannot be id-mapped';
  throw new TsrunError('unsupported', `${describeBind(bind)}: ${problem}`, { pointer: `/mounts/${bind.index}/source` });
}

/** Opens a source with the host's privileges, cut off from the host. */
export function openHostTree(context: PlanContext, bind: BindMount, tree: Region): Step[] {
  const label = `cut ${describeBind(bind)} off from the host`;
  const open = openTree(context, bind, tree);
  const { root } = context.slots;
  return [
    ...(bind.inRootfs === undefined ? open : [openRootfs(context), ...open, closeHandle(root)]),
    ...changePropagation(context, tree, MS_SLAVE | MS_REC, { label }),
    ...planIdmap(context, bind, tree),
  ];
}

/** Clones the source's mount, detached, with its id map; the descriptor goes to `tree`. */
export function openSource(context: PlanContext, bind: BindMount, tree: Region): Step[] {
  return [...openTree(context, bind, tree), ...planIdmap(context, bind, tree)];
}

/** A source inside the rootfs is looked up as the container would: its symlinks are the image's, and never lead to the host. */
function openTree(context: PlanContext, bind: BindMount, tree: Region): Step[] {
  const recursive = (bind.options.flags & MS_REC) !== 0 ? AT_RECURSIVE : 0;
  const noFollow = bind.options.manner.sourceLink === 'mount';
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive;
  const options = { label: `${describeBind(bind)}: open source`, pointer: `/mounts/${bind.index}/source` };
  const clone = { ...options, result: tree };
  if (bind.inRootfs === undefined)
    return [call('open_tree', [AT_FDCWD, bind.source, flags | (noFollow ? AT_SYMLINK_NOFOLLOW : 0)], clone)];
  const { inRootfs } = bind;
  const open = (source: Region): Step[] => openInRoot(context, inRootfs, source, { ...options, noFollow });
  return withHandle(context, { name: 'source', open }, (source) => [
    call('open_tree', [source, '', flags | AT_EMPTY_PATH], clone),
  ]);
}

/** config.md, "idmap" and "ridmap": the mount shows the source's owners through the id map of a user namespace. */
function planIdmap(context: PlanContext, bind: BindMount, tree: Region): Step[] {
  const namespace = idmapNamespaceOf(context.config, bind.mount);
  if (namespace === undefined) return [];
  const options = {
    label: `${describeBind(bind)}: map ids`,
    pointer: `/mounts/${bind.index}`,
    purpose: 'map ids of a mount',
  } as const;
  requireMountSetattr(context, options, 'idmapped mounts');
  const usernsFd = context.descriptors.idmaps + namespace;
  const scope = AT_EMPTY_PATH | (bind.options.manner.idMap === 'tree' ? AT_RECURSIVE : 0);
  return [
    call('mount_setattr', [tree, '', scope, mountAttr({ set: MOUNT_ATTR_IDMAP, usernsFd }), MOUNT_ATTR_SIZE], options),
  ];
}
