import { addressOf, at, call, equals, failWhen, isNegative, repeatWhile, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Errno } from '../../util/errno.ts';
import {
  AT_EMPTY_PATH,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  STATX_BASIC_STATS,
  S_IFDIR,
  S_IFMT,
} from '../../util/constants.ts';
import type { PlanContext } from './context.ts';
import { closeHandle } from './with-handle.ts';
import { failedWith } from './failed-with.ts';
import { OPEN_HOW_SIZE, openHow } from '../../program/structs.ts';

/**
 * Paths inside a rootfs are never resolved as strings: every one is opened below the root's handle by openat2(2) with
 * RESOLVE_IN_ROOT, and what follows acts on the descriptor (CVE-2021-30465 and its family).
 */

export interface LookupOptions {
  readonly label: string;
  readonly pointer?: string;
  readonly accept?: readonly Errno[] | 'any';
  readonly failure?: string;
  /** Refuse symlinks anywhere in the path. */
  readonly noSymlinks?: boolean;
  /** Refuse a symlink as the last component only. */
  readonly noFollow?: boolean;
  /** Refuse what is no directory. */
  readonly directory?: boolean;
  /** Open for reading or writing; without it the handle is O_PATH. */
  readonly access?: number;
}

/**
 * Lookups that are repeated before a path counts as one that cannot be looked up. Each takes microseconds; one in five met a rename
 * where another process renamed as fast as it could.
 */
const LOOKUP_TRIES = 64;

/**
 * Opens `path` (inside the rootfs) below the root's handle; the descriptor goes to `result`.
 *
 * Anything on the host that is renamed or mounted while the kernel looks a `..` of a symlink up makes it answer EAGAIN: the lookup is
 * repeated then (man 2 openat2). The path itself has no `..`, so that a lookup without symlinks never meets this.
 */
export function openInRoot(context: PlanContext, path: string, result: Region, options: LookupOptions): Step[] {
  return openInside(context, relative(path), result, options);
}

/** The same for a path without a slash in front that is lexically clean. */
function openInside(context: PlanContext, inside: string, result: Region, options: LookupOptions): Step[] {
  if (options.noSymlinks === true || inside === ROOT) return [lookUp(context, inside, result, options)];
  const { label, pointer, accept = [] } = options;
  const busy = 'the host renamed or mounted something during each of';
  const accepted = accept === 'any' ? accept : accept.concat('EAGAIN');
  return repeatWhile(failedWith(result, 'EAGAIN'), [lookUp(context, inside, result, options, accepted)], {
    tries: LOOKUP_TRIES,
    fail: 'EAGAIN',
    label,
    failure: `${label}: ${busy} ${LOOKUP_TRIES + 1} lookups: {errno}`,
    ...(pointer === undefined ? {} : { pointer }),
  });
}

/** A single lookup. */
function lookUp(
  context: PlanContext,
  inside: string,
  result: Region,
  options: LookupOptions,
  accept = options.accept,
): Step {
  // Symlinks are followed as the container would follow them, the magic links of /proc never.
  const resolve = RESOLVE_IN_ROOT | (options.noSymlinks === true ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS);
  const flags =
    (options.access ?? O_PATH) |
    (options.directory === true ? O_DIRECTORY : 0) |
    (options.noFollow === true ? O_NOFOLLOW : 0);
  const { label, pointer, failure } = options;
  // Hundreds of lookups are made in few ways.
  const how = context.memory.shared(`open_how ${flags} ${resolve}`, () => openHow({ flags, resolve }));
  return call('openat2', [context.slots.root, inside, how, OPEN_HOW_SIZE], {
    label,
    result,
    ...(pointer === undefined ? {} : { pointer }),
    ...(accept === undefined ? {} : { accept }),
    ...(failure === undefined ? {} : { failure }),
  });
}

/** Lexically cleaned components of a rootfs path: `/a/./b//../c` -> `['a', 'c']`. `..` never leaves the root. */
export function components(path: string): string[] {
  const cleaned: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') cleaned.pop();
    else cleaned.push(part);
  }
  return cleaned;
}

/** The root, below its own handle. */
const ROOT = '.';

function relative(path: string): string {
  return below(components(path));
}

function below(parts: readonly string[]): string {
  return parts.length === 0 ? ROOT : parts.join('/');
}

/** What `ensureInRoot` makes, and which symlinks it goes through on the way. */
export interface EnsureOptions {
  /** What is made when nothing is there. */
  readonly kind: 'directory' | 'file';
  readonly pointer?: string;
  /** Refuse symlinks anywhere in the path. */
  readonly noSymlinks?: boolean;
  /** The failure message where `noSymlinks` refuses one that is there. */
  readonly symlinkFailure?: string;
  /** Open a symlink as the last component itself. */
  readonly noFollow?: boolean;
}

/**
 * Opens `path` inside the rootfs and makes what is missing of it, one component at a time below the handle of the one before:
 * directories with mode 0755, a file with mode 0644. The O_PATH handle goes to `target`. Where a directory is wanted, anything
 * else that is there is a failure, which says so (ENOTDIR); where a file is wanted, the caller has to look.
 *
 * When the path is there already this is a single call. Nothing is ever made through a symlink that dangles. A lookup that met a
 * rename (EAGAIN, see `openInRoot`) counts as one that found nothing: making what is there changes nothing, and then it is opened.
 */
export function ensureInRoot(context: PlanContext, path: string, target: Region, options: EnsureOptions): Step[] {
  const shown = JSON.stringify(path);
  const wanted = components(path);
  const common = {
    ...(options.pointer === undefined ? {} : { pointer: options.pointer }),
    noSymlinks: options.noSymlinks === true,
  };
  const { symlinkFailure, noFollow = false } = options;
  // Where the refusal of what is no directory has words of its own, it comes later.
  const directory = options.kind === 'directory' && !noFollow && symlinkFailure === undefined;
  const open = { label: `open ${shown}`, directory, ...common };
  const accept: Errno[] = symlinkFailure === undefined ? notFound(common) : [...notFound(common), 'ELOOP'];
  const first = [
    lookUp(context, below(wanted), target, { ...open, noFollow }, accept),
    ...(symlinkFailure === undefined
      ? []
      : [failWhen(failedWith(target, 'ELOOP'), 'ELOOP', { ...stepOf(open), failure: symlinkFailure })]),
  ];
  const parts = whereToMake(context, path, wanted, options);
  if (parts.length === 0) return first;
  return [
    ...first,
    ...when(
      isNegative(target),
      makeMissing(context, parts, target, { ...options, common }),
      `make ${shown} unless it is there`,
    ),
  ];
}

/**
 * Behind a symlink to something that is not there the missing part is made where the link points to, unless an earlier mount
 * covers what the host saw there.
 */
function whereToMake(
  { bundle, config }: PlanContext,
  path: string,
  parts: readonly string[],
  { noSymlinks }: EnsureOptions,
): readonly string[] {
  const links = bundle.danglingLinks;
  const link = `/${parts.join('/')}`;
  const target = Object.hasOwn(links, link) ? links[link] : undefined;
  if (target === undefined || noSymlinks === true) return parts;
  const index = (config.mounts ?? []).findIndex(({ destination }) => destination === path);
  const earlier = (config.mounts ?? []).slice(0, index < 0 ? undefined : index);
  const covers = (mountPoint: string): boolean => components(mountPoint).every((part, depth) => parts[depth] === part);
  return earlier.some(({ destination }) => covers(destination)) ? parts : components(target);
}

function notFound({ noSymlinks }: { readonly noSymlinks: boolean }): Errno[] {
  return noSymlinks ? ['ENOENT'] : ['ENOENT', 'EAGAIN'];
}

interface MissingOptions extends EnsureOptions {
  readonly common: { readonly pointer?: string; readonly noSymlinks: boolean };
}

/** The directories on the way take turns in two handles, such that the last is `target`. */
function makeMissing(context: PlanContext, parts: readonly string[], target: Region, options: MissingOptions): Step[] {
  return context.memory.withSlot('parent', (other) =>
    parts.flatMap((_, index) => {
      const isEven = (parts.length - 1 - index) % 2 === 0;
      const [handle, before] = isEven ? [target, other] : [other, target];
      const path = parts.slice(0, index + 1);
      const isLast = index === parts.length - 1;
      if (index === 0) return makeComponent(context, { path, isLast, parent: context.slots.root, handle }, options);
      return makeComponent(context, { path, isLast, parent: before, handle }, options).concat(closeHandle(before));
    }),
  );
}

interface MissingComponent {
  /** From the root to the component. */
  readonly path: readonly string[];
  readonly isLast: boolean;
  readonly parent: Region;
  /** Where its handle goes. */
  readonly handle: Region;
}

function makeComponent(
  context: PlanContext,
  { path, isLast, parent, handle }: MissingComponent,
  options: MissingOptions,
): Step[] {
  const { common } = options;
  const inside = path.join('/');
  const name = path.at(-1) ?? '';
  const shown = JSON.stringify(`/${inside}`);
  const made = { accept: ['EEXIST'], ...pointerOf(common) } as const;
  const make =
    isLast && options.kind === 'file'
      ? call('mknodat', [parent, name, 0o100644, 0], { label: `create file ${shown}`, ...made })
      : call('mkdirat', [parent, name, 0o755], { label: `create directory ${shown}`, ...made });
  const noFollow = isLast && options.noFollow === true;
  const directory = !isLast || (options.kind === 'directory' && !noFollow && options.symlinkFailure === undefined);
  const look = { label: `open ${shown}`, directory, noFollow, ...common };
  const open = openInside(context, inside, handle, look);
  if (isLast) return [make, ...open];
  return [lookUp(context, inside, handle, look, notFound(common)), ...when(isNegative(handle), [make, ...open])];
}

function stepOf({ label, pointer }: { readonly label: string; readonly pointer?: string }): {
  label: string;
  pointer?: string;
} {
  return { label, ...(pointer === undefined ? {} : { pointer }) };
}

function pointerOf({ pointer }: { readonly pointer?: string }): { pointer?: string } {
  return pointer === undefined ? {} : { pointer };
}

/** Offset of u16 stx_mode in struct statx (man 2 statx). */
export const STX_MODE = 28;
/** Offsets of u32 stx_rdev_major and stx_rdev_minor. */
export const STX_RDEV = 128;

/** Looks at what a handle refers to; the answer goes to `slots.stat`. */
export function statHandle(context: PlanContext, handle: Region, label: string): Step {
  return call('statx', [handle, '', AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(context.slots.stat)], { label });
}

/** Holds when the latest `statHandle` saw this type of file (S_IFDIR, S_IFCHR, ...). */
export function isFileType(context: PlanContext, type: number, name: string) {
  // stx_mode starts at byte 28, in the upper half of the word at 24.
  return equals(at(context.slots.stat, 24), BigInt(type) << 32n, { mask: BigInt(S_IFMT) << 32n, text: `is ${name}` });
}

/** Holds when the latest `statHandle` saw a directory. */
export function isDirectory(context: PlanContext) {
  return isFileType(context, S_IFDIR, 'a directory');
}

/** Holds when the latest `statHandle` saw the device `major:minor`. */
export function isDeviceNumber(context: PlanContext, major: number, minor: number, wanted = statNumber(major, minor)) {
  return equals(at(context.slots.stat, STX_RDEV), wanted, { text: `is device ${major}:${minor}` });
}

/** A device number as the answer of `statHandle` has it. */
export function statNumber(major: number, minor: number): bigint {
  return BigInt(major) | (BigInt(minor) << 32n);
}
