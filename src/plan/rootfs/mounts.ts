import { TsrunError } from '../../errors.ts';
import { addressOf, at, call, isNegative, unless, type CallOptions } from '../../program/build.ts';
import { SERIES_LEAST } from '../../program/series.ts';
import type { Part, Region, Step } from '../../program/step.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Mount } from '../../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_RDONLY,
  MS_RDONLY,
  O_RDONLY,
  STATX_BASIC_STATS,
} from '../../util/constants.ts';
import { countAlike, mountSeries } from './alike-mounts.ts';
import { planBindMount } from './bind-mounts.ts';
import type { CgroupPlan } from '../cgroup/plan.ts';
import { planCgroupMount } from './cgroup-mount.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { ensureInRoot, openInRoot, STX_MODE } from '../base/handles.ts';
import { hasHostSysfs, planHostSysfs } from './host-sysfs.ts';
import { changeAttributes, changeAttributesRecursively, changePropagation } from './mount-attributes.ts';
import { namedAttributes, parseMountOptions, type ParsedMountOptions } from './mount-options.ts';
import { refuseMountOnProc, refuseUnfollowedTarget } from './mount-target.ts';
import { replyWithDescriptors } from '../base/reply.ts';
import { reserveScratch } from '../base/scratch.ts';
import { closeHandle, withHandle } from '../base/with-handle.ts';

/** Steps up to a point at which the parent has to do something, or the end. */
export interface Stage {
  readonly steps: readonly Part[];
  /** What init reports at the end of the stage; `none` when the steps just go on. */
  readonly exchange: 'none' | 'copy-up';
}

interface StepStage extends Stage {
  readonly steps: readonly Step[];
}

/** The mounts of the config, cut where the parent has to act, in the order in which they are made. */
export interface MountsPlan {
  readonly stages: readonly Stage[];
  /** What must wait until everything below the mounts is made: read-only tmpfs. */
  readonly last: readonly Step[];
}

/** config.md, "Mounts": all of them, in the order listed. `trees` are the bind sources opened before. */
export function planMounts(context: PlanContext, cgroup: CgroupPlan, trees: ReadonlyMap<number, Region>): MountsPlan {
  const stages: Stage[] = [];
  const last: Step[] = [];
  const mounts = context.config.mounts ?? [];
  const planTmpfsSteps = (mount: Mount, index: number): readonly Step[] =>
    planTmpfs(fileSystemMount(context, mount, index)).flatMap(({ steps }) => steps);
  for (let index = 0; index < mounts.length;) {
    const count = countAlike(context, mounts, index);
    if (count >= SERIES_LEAST) {
      const series = mountSeries(context, mounts, { from: index, count, planMount: planTmpfsSteps });
      stages.push({ steps: [series], exchange: 'none' });
    } else
      mounts.slice(index, index + count).forEach((mount, offset) => {
        const at = index + offset;
        if (isBindMount(mount))
          stages.push({ steps: planBindMount(context, mount, at, trees.get(at)), exchange: 'none' });
        else stages.push(...planOther(fileSystemMount(context, mount, at), cgroup, last));
      });
    index += count;
  }
  return { stages, last };
}

/** One tmpfs by itself, which nothing is to be made below. Errors: `unsupported` for one that is filled. */
export function planLoneTmpfs(context: PlanContext, mount: Mount, index: number): Step[] {
  const input = fileSystemMount(context, mount, index);
  const { flags, manner } = input.options;
  if (manner.copyUp)
    throw new TsrunError('unsupported', `${describe(mount)}: the option "tmpcopyup" is for mounts of config.json`);
  const isReadonly = (flags & MS_RDONLY) !== 0;
  return [...planTmpfs(input).flatMap(({ steps }) => steps), ...(isReadonly ? planReadonlyLater(input) : [])];
}

function fileSystemMount(context: PlanContext, mount: Mount, index: number): FileSystemMount {
  return { context, mount, pointer: `/mounts/${index}`, options: parseMountOptions(mount.options ?? []) };
}

/** What is no bind mount. Adds to `last`. */
function planOther(input: FileSystemMount, cgroup: CgroupPlan, last: Step[]): StepStage[] {
  const { mount, options } = input;
  if (mount.type === 'cgroup') return [{ steps: planCgroup(input, cgroup), exchange: 'none' }];
  if (mount.type !== 'tmpfs') return [{ steps: planFileSystem(input), exchange: 'none' }];
  if ((options.flags & MS_RDONLY) !== 0) last.push(...planReadonlyLater(input));
  return planTmpfs(input);
}

interface FileSystemMount {
  readonly context: PlanContext;
  readonly mount: Mount;
  readonly pointer: string;
  readonly options: ParsedMountOptions;
}

function describe(mount: Mount): string {
  return `mount ${JSON.stringify(mount.type ?? '')} on ${JSON.stringify(mount.destination)}`;
}

/** A full view of these inside an image's own symlink would defeat masks and labels (CVE-2019-19921, CVE-2023-27561). */
const NO_SYMLINKS: ReadonlySet<string> = new Set(['proc', 'sysfs']);

/** proc, sysfs, devpts, mqueue and every other file system: mounted onto the directory that a handle names. */
function planFileSystem(input: FileSystemMount): Step[] {
  const { context, mount, pointer, options } = input;
  const mayBeHosts = hasHostSysfs(context, mount.type ?? '', options);
  const change: Partial<CallOptions> = mayBeHosts ? { accept: ['EPERM'], result: context.slots.answer } : {};
  return [
    ...withTarget(input, (target) => [
      ...mountHere(input, target, options.flags, change),
      ...(mayBeHosts ? planHostSysfs(context, target, options, { label: describe(mount), pointer }) : []),
    ]),
    ...planAfterMount(input, []),
  ];
}

/** The steps in which `target` is the handle of the mount point, as it is below the mount. */
function withTarget(input: FileSystemMount, use: (target: Region) => readonly Step[]): Step[] {
  return withHandle(input.context, { name: 'target', open: (target) => ensureTarget(input, target) }, use);
}

function ensureTarget({ context, mount, pointer, options }: FileSystemMount, target: Region): Step[] {
  const label = describe(mount);
  const where = { kind: 'directory', pointer: `${pointer}/destination` } as const;
  if (NO_SYMLINKS.has(mount.type ?? ''))
    return ensureInRoot(context, mount.destination, target, {
      ...where,
      noSymlinks: true,
      symlinkFailure: notOrdinary(mount),
    });
  const noFollow = options.manner.targetLink === 'refuse';
  return [
    ...ensureInRoot(context, mount.destination, target, { ...where, noFollow }),
    ...refuseMountOnProc(context, target, { destination: mount.destination, label, pointer: where.pointer }),
    ...(noFollow ? refuseUnfollowedTarget(context, target, { label, pointer: where.pointer }) : []),
  ];
}

/** Callers and people look for runc's words. */
function notOrdinary(mount: Mount): string {
  return `${describe(mount)}: filesystem ${JSON.stringify(mount.type ?? '')} must be mounted on ordinary directory`;
}

/** mount(2) on ".", the directory of `target`: no path of the rootfs is looked up again. */
function mountHere(
  { mount, pointer, options }: FileSystemMount,
  target: Region,
  flags: number,
  change: Partial<CallOptions> = {},
): Step[] {
  const label = describe(mount);
  const notDirectory = NO_SYMLINKS.has(mount.type ?? '') ? { failure: `${notOrdinary(mount)}: {errno}` } : {};
  const source = mount.source ?? mount.type ?? 'none';
  const data = options.data.length === 0 ? 0 : options.data.join(',');
  return [
    call('fchdir', [target], {
      label: `enter ${JSON.stringify(mount.destination)}`,
      pointer,
      ...notDirectory,
    }),
    call('mount', [source, '.', mount.type ?? '', flags, data], { label, pointer, ...change }),
  ];
}

/** Steps on the finished mount, through a handle of its own that is opened only when one is needed. */
function planAfterMount(
  { context, mount, pointer, options }: FileSystemMount,
  extra: readonly ((target: Region) => Step[])[],
): Step[] {
  const label = describe(mount);
  const change = { label: `${label}: set options`, pointer: `${pointer}/options`, isDirectory: true };
  const { set, clear } = options.recursive;
  if (extra.length + set + clear + options.propagation.length === 0) return [];
  const open = (target: Region): Step[] =>
    openInRoot(context, mount.destination, target, { label: `open ${JSON.stringify(mount.destination)}`, pointer });
  return withHandle(context, { name: 'target', open }, (target) => [
    ...extra.flatMap((steps) => steps(target)),
    ...changeAttributesRecursively(context, target, options.recursive, change),
    ...options.propagation.flatMap((flags) =>
      changePropagation(context, target, flags, { ...change, label: `${label}: set propagation` }),
    ),
  ]);
}

/**
 * A tmpfs takes over the mode of a directory that was there before, unless the options name one; with `tmpcopyup` also its
 * content, which the parent copies. Read-only comes last of all, so that mount points can be made in it.
 */
function planTmpfs(input: FileSystemMount): StepStage[] {
  const { context, mount, pointer, options } = input;
  const { stat, existed } = context.slots;
  const hasMode = options.data.some((option) => option.startsWith('mode='));
  const shown = JSON.stringify(mount.destination);
  const before: Step[] = hasMode
    ? []
    : openInRoot(context, mount.destination, existed, {
        ...{ label: `look for ${shown}`, pointer: `${pointer}/destination` },
        accept: ['ENOENT'],
      });
  // Behind the look at the mount point's file system, whose answer goes to the same place.
  const look: Step[] = hasMode
    ? []
    : unless(isNegative(existed), [
        call('statx', [existed, '', AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(stat)], { label: `look at ${shown}` }),
        closeHandle(existed),
      ]);
  const mode = (target: Region): Step[] =>
    unless(isNegative(existed), [
      call('fchdir', [target], { label: `enter ${shown}` }),
      call('fchmodat', [AT_FDCWD, '.', at(stat, STX_MODE)], { label: `give ${shown} the mode it had`, pointer }),
    ]);
  const mountIt = (target: Region): Step[] => mountHere(input, target, options.flags & ~MS_RDONLY);
  const after = planAfterMount(input, hasMode ? [] : [mode]);
  if (!options.manner.copyUp) {
    const mounted = withTarget(input, (target) => [...look, ...mountIt(target)]);
    return [{ steps: [...before, ...mounted, ...after], exchange: 'none' }];
  }
  return [
    { steps: [...before, ...planCopyUp(input, look, mountIt)], exchange: 'copy-up' },
    { steps: [...reserveScratch(context.descriptors), ...after], exchange: 'none' },
  ];
}

/** Mounts it, and hands the directory below the mount and that of the mount to the parent. */
function planCopyUp(
  input: FileSystemMount,
  look: readonly Step[],
  mountIt: (target: Region) => readonly Step[],
): Step[] {
  const { context, mount, pointer } = input;
  const { destination } = mount;
  const shown = JSON.stringify(destination);
  const options = { pointer, directory: true, access: O_RDONLY };
  const openLower = (lower: Region): Step[] =>
    withTarget(input, (target) => [
      ...look,
      ...openInRoot(context, destination, lower, { label: `open ${shown} below the tmpfs`, ...options }),
      ...mountIt(target),
    ]);
  const openUpper = (upper: Region): Step[] =>
    openInRoot(context, destination, upper, { label: `open ${shown}`, ...options });
  const send = (upper: Region, lower: Region): Step[] =>
    replyWithDescriptors(context.descriptors, 'copy-up', `have ${shown} copied up`, [upper, lower]);
  return withHandle(context, { name: 'lower', open: openLower }, (lower) =>
    withHandle(context, { name: 'upper', open: openUpper }, (upper) => send(upper, lower)),
  );
}

function planReadonlyLater({ context, mount, pointer, options }: FileSystemMount): Step[] {
  const { set, clear } = namedAttributes(options);
  const shown = JSON.stringify(mount.destination);
  const change = { label: `make ${shown} read-only`, pointer: `${pointer}/options`, isDirectory: true };
  const open = (target: Region): Step[] =>
    openInRoot(context, mount.destination, target, { label: `open ${shown}`, pointer });
  return withHandle(context, { name: 'target', open }, (target) =>
    changeAttributes(context, target, { set: set | MOUNT_ATTR_RDONLY, clear }, change),
  );
}

function planCgroup(input: FileSystemMount, plan: CgroupPlan): Step[] {
  const { context, pointer, options } = input;
  const hasCgroupNamespace = findNamespace(context.config, 'cgroup') !== undefined;
  const layout = context.host.cgroup;
  if (options.data.length > 0 && (!hasCgroupNamespace || layout.unified === undefined)) {
    const why = hasCgroupNamespace
      ? 'there is no cgroup2'
      : 'without a cgroup namespace the mount of the host is shown';
    context.warnings.push(
      `${describe(input.mount)}: the options ${JSON.stringify(options.data)} have no effect: ${why}`,
    );
  }
  return [
    ...withTarget(input, (target) =>
      planCgroupMount({
        context,
        target,
        layout,
        plan,
        hasCgroupNamespace,
        flags: options.flags,
        data: options.data.join(','),
        pointer,
        destination: input.mount.destination,
      }),
    ),
    ...planAfterMount(input, []),
  ];
}
