import { call } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Config } from '../../spec/generated/config.ts';
import {
  AT_FDCWD,
  CAP_SYS_ADMIN,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { holdsCapability, type HostFacts } from '../base/facts.ts';
import { LAYER_NAMES, lowerName, type Marks, type OverlayLayers } from '../base/layers.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * Whether the overlay is made before any namespace is entered: root of a user namespace may neither see nor own the layer, and has the
 * kernel keep its marks where every user may write. An ordinary user has nothing but that.
 */
export function isMadeOutside(config: Config, host: HostFacts): boolean {
  return findNamespace(config, 'user') !== undefined && holdsCapability(host, CAP_SYS_ADMIN);
}

/** The marks of an overlay that is made here. */
export function marksOf(config: Config, host: HostFacts): Marks {
  const isForeign = findNamespace(config, 'user') !== undefined && !isMadeOutside(config, host);
  return host.identity.inUserNamespace || isForeign ? 'user' : 'trusted';
}

/** An overlay that is mounted nowhere, as the handle `result`. The working directory is that of the layer then. */
export function planOverlay(context: PlanContext, layers: OverlayLayers, result: Region): Step[] {
  const shown = JSON.stringify(layers.directory);
  const openDirectory = (handle: Region): Step[] => [
    call('openat', [AT_FDCWD, layers.directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
      label: `open the layer ${shown}`,
      result: handle,
    }),
  ];
  const openContext = (handle: Region): Step[] => [
    call('fsopen', ['overlay', FSOPEN_CLOEXEC], {
      label: 'begin an overlay',
      failure: 'begin an overlay: {errno}; "tsrun doctor" says whether this kernel has them',
      result: handle,
    }),
  ];
  return withHandle(context, { name: 'layer', open: openDirectory }, (directory) => [
    call('fchdir', [directory], { label: 'enter the directory of the layer' }),
    ...withHandle(context, { name: 'file system', open: openContext }, (handle) => [
      ...overlayOptions(context, layers).map((option) => setOption(handle, option)),
      call('fsconfig', [handle, FSCONFIG_CMD_CREATE, 0, 0, 0], {
        label: 'lay the overlay',
        failure: `lay the overlay of ${shown}: {errno}; its file system may be none that takes a layer (an overlay, NFS), or a lower directory may lie in another`,
      }),
      call('fsmount', [handle, FSMOUNT_CLOEXEC, 0], { label: 'make the overlay a mount', result }),
    ]),
  ]);
}

type OverlayOption = readonly [key: string, value?: string];

function overlayOptions({ host }: PlanContext, { lowers, isKept, marks }: OverlayLayers): OverlayOption[] {
  return [
    ['source', 'overlay'],
    ['lowerdir', lowers.map((_, index) => lowerName(index)).join(':')],
    ['upperdir', LAYER_NAMES.upper],
    ['workdir', LAYER_NAMES.work],
    // What has changed is in the layer as a whole, and lies where it is seen: `diff` and other readers need nothing but the layer.
    ['redirect_dir', 'nofollow'],
    ['metacopy', 'off'],
    // A kept layer may lie over a copy of its lower directories.
    ['index', 'off'],
    // What goes with the container need not be on the disk when it does: without this the unmount waits for all that the disk has to write.
    ...(isKept || !isAtLeast(host, [5, 10]) ? [] : [['volatile'] as const]),
    ...(marks === 'user' ? [['userxattr'] as const] : []),
  ];
}

function setOption(handle: Region, [key, value]: OverlayOption): Step {
  const label = `set the option ${value === undefined ? key : `${key}=${value}`}`;
  return value === undefined
    ? call('fsconfig', [handle, FSCONFIG_SET_FLAG, key, 0, 0], { label })
    : call('fsconfig', [handle, FSCONFIG_SET_STRING, key, value, 0], { label });
}

/** What keeps the container from having a layer on this host. */
export function overlayProblem(config: Config, host: HostFacts, layers: OverlayLayers): string | undefined {
  const { marks } = layers;
  const mount = findNamespace(config, 'mount');
  if (mount === undefined || (mount.path ?? '') !== '')
    return "a layer over the rootfs needs a mount namespace of the container's own, where nobody else sees it";
  const overlap = findOverlap(layers);
  if (overlap !== undefined) return overlap;
  if (marks === 'trusted' || isAtLeast(host, [5, 11])) return undefined;
  return `a layer over the rootfs needs Linux 5.11 where an ordinary user mounts it, this is ${host.kernel.version.join('.')}`;
}

/** The kernel finds only some of them. What goes with its container may lie in the rootfs: that may be the host's root. */
function findOverlap({ directory, lowers, isKept }: OverlayLayers): string | undefined {
  const shown = JSON.stringify(directory);
  for (const lower of lowers) {
    if (isWithin(lower, directory)) return `the directory ${JSON.stringify(lower)} lies in the layer ${shown} over it`;
    if (isKept && isWithin(directory, lower))
      return `the layer ${shown} lies in the directory ${JSON.stringify(lower)} below it`;
  }
  return undefined;
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}

function isAtLeast({ kernel }: HostFacts, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor, ownMinor] = kernel.version;
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
