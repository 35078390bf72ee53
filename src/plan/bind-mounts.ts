import { TsrunError } from '../errors.ts';
import { call } from '../program/build.ts';
import type { Region, Step } from '../program/step.ts';
import { isBindMount } from '../spec/bind-mount.ts';
import type { Mount } from '../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  MOUNT_ATTR_IDMAP,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_REC,
  MS_SLAVE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../util/constants.ts';
import { holdsCapability } from './capabilities.ts';
import { findNamespace, hasNewNamespace, type PlanContext } from './context.ts';
import { closeWord, ensureInRoot } from './handles.ts';
import { idmapNamespaceOf } from './idmaps.ts';
import {
  changeAttributes,
  changeAttributesRecursively,
  changePropagation,
  mountAttr,
  MOUNT_ATTR_SIZE,
  requireMountSetattr,
} from './mount-attributes.ts';
import { mountAttributes, parseMountOptions, type ParsedMountOptions } from './mount-options.ts';

/** Absolute path of a bind mount's source on the host: a relative one lies in the bundle. */
export function bindSource(mount: Mount, bundle: string): string {
  const source = mount.source ?? '';
  return source.startsWith('/') ? source : `${bundle}/${source}`;
}

interface BindMount {
  readonly mount: Mount;
  readonly index: number;
  readonly options: ParsedMountOptions;
  readonly source: string;
}

function describe({ mount, source }: BindMount): string {
  return `bind ${JSON.stringify(source)} on ${JSON.stringify(mount.destination)}`;
}

/**
 * Opens the sources of bind mounts in the process that still has the host's privileges, where the container has a user namespace:
 * its root may be unable to reach them, and only the host's root may give a mount its id map.
 *
 * Returns the steps and the words that hold the mounts, by index of the mount.
 */
export function planHostTrees(context: PlanContext): { steps: Step[]; trees: ReadonlyMap<number, Region> } {
  const trees = new Map<number, Region>();
  const separate = findNamespace(context.config, 'user') !== undefined && hasNewNamespace(context.config, 'mount');
  // An ordinary user has no privileges that the container's root lacks; the sources are then opened by the latter.
  if (!separate || !context.host.kernel.mountSetattr || !mayMount(context)) return { steps: [], trees };
  const steps = bindMounts(context).flatMap((bind) => {
    const tree = context.memory.word(`tree-${bind.index}`);
    trees.set(bind.index, tree);
    const label = `cut ${describe(bind)} off from the host`;
    return [
      ...openTree(bind, tree),
      ...changePropagation(context, tree, MS_SLAVE | MS_REC, { label }),
      ...planIdmap(context, bind, tree),
    ];
  });
  return { steps, trees };
}

function mayMount({ host }: PlanContext): boolean {
  const CAP_SYS_ADMIN = 21;
  return holdsCapability(host, CAP_SYS_ADMIN);
}

function bindMounts(context: PlanContext): BindMount[] {
  return (context.config.mounts ?? []).flatMap((mount, index) => {
    if (!isBindMount(mount)) return [];
    const options = parseMountOptions(mount.options ?? []);
    return [{ mount, index, options, source: bindSource(mount, context.bundle.bundle) }];
  });
}

/**
 * One bind mount: a detached copy of the source gets its attributes, and is then put onto the handle of its mount point in one
 * call. No moment exists at which the mount is there with weaker flags than asked for.
 */
export function planBindMount(context: PlanContext, mount: Mount, index: number, opened: Region | undefined): Step[] {
  const source = bindSource(mount, context.bundle.bundle);
  const bind: BindMount = { mount, index, options: parseMountOptions(mount.options ?? []), source };
  const tree = opened ?? context.words.tree;
  const kind = context.bundle.sources[source];
  if (kind === undefined)
    throw new TsrunError('bundle', `${describe(bind)}: the source was not looked at (/mounts/${index}/source)`);
  const label = describe(bind);
  const pointer = `/mounts/${index}`;
  const isDirectory = kind === 'directory';
  const optionsPointer = { label: `${label}: set options`, pointer: `${pointer}/options`, isDirectory };
  const attach = call(
    'move_mount',
    [tree, '', context.words.target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
    {
      label,
      pointer,
    },
  );
  const attributes = [
    ...changeAttributes(context, tree, mountAttributes(bind.options), optionsPointer),
    ...changeAttributesRecursively(context, tree, bind.options.recursive, optionsPointer),
  ];
  const early = context.host.kernel.mountSetattr;
  return [
    ...(opened === undefined ? [...openTree(bind, tree), ...planIdmap(context, bind, tree)] : []),
    ...(early ? attributes : []),
    ...ensureInRoot(context, mount.destination, {
      kind: kind === 'directory' ? 'directory' : 'file',
      pointer: `${pointer}/destination`,
    }),
    attach,
    ...(early ? [] : attributes),
    ...bind.options.propagation.flatMap((flags) =>
      changePropagation(context, tree, flags, { ...optionsPointer, label: `${label}: set propagation` }),
    ),
    closeWord(tree),
    closeWord(context.words.target),
  ];
}

function openTree(bind: BindMount, tree: Region): Step[] {
  const recursive = (bind.options.flags & MS_REC) !== 0 ? AT_RECURSIVE : 0;
  const follow = bind.options.extensions.has('src-nofollow') ? AT_SYMLINK_NOFOLLOW : 0;
  return [
    call('open_tree', [AT_FDCWD, bind.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive | follow], {
      label: `${describe(bind)}: open source`,
      pointer: `/mounts/${bind.index}/source`,
      result: tree,
    }),
  ];
}

/** config.md, "idmap" and "ridmap": the mount shows the source's owners through the id map of a user namespace. */
function planIdmap(context: PlanContext, bind: BindMount, tree: Region): Step[] {
  const namespace = idmapNamespaceOf(context.config, bind.mount);
  if (namespace === undefined) return [];
  const options = { label: `${describe(bind)}: map ids`, pointer: `/mounts/${bind.index}` };
  requireMountSetattr(context, options, 'idmapped mounts');
  const usernsFd = context.descriptors.idmaps + namespace;
  const scope = AT_EMPTY_PATH | (bind.options.extensions.has('ridmap') ? AT_RECURSIVE : 0);
  return [
    call('mount_setattr', [tree, '', scope, mountAttr({ set: MOUNT_ATTR_IDMAP, usernsFd }), MOUNT_ATTR_SIZE], options),
  ];
}
