import { call, failWhen, isZero, not, when } from '../../program/build.ts';
import type { Part, Region, Step } from '../../program/step.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import { cleanPath } from '../../spec/clean-path.ts';
import type { Config } from '../../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
} from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { deviceKey, listDevices, type DeviceNode } from './device-nodes.ts';
import { forEachNode, type NodeToMake } from './device-series.ts';
import type { KernelFacts } from '../base/facts.ts';
import { failedWith } from '../base/failed-with.ts';
import { components, ensureInRoot, isDeviceNumber, isFileType, statHandle, statNumber } from '../base/handles.ts';
import { withHandle, withHandleFor } from '../base/with-handle.ts';
import { changeAttributes } from './mount-attributes.ts';
import { needsRootfsCover } from './rootfs.ts';

/**
 * config-linux.md, "Devices" and "Default Devices"; runtime-linux.md, "Dev symbolic links".
 *
 * Runs with the mounts done, before the rootfs is entered, with umask 0. A /dev that is bind-mounted is left as it is. Nothing
 * is made through a symlink at /dev: an image could lead it elsewhere (CVE-2026-41579).
 */
export function planDevices(context: PlanContext): Part[] {
  const { config, host, memory } = context;
  if (isDevBound(config)) return [];
  warnOfModes(context);
  const made = memory.word('made');
  const open = (dev: Region): Step[] => ensureInRoot(context, '/dev', dev, { kind: 'directory', noSymlinks: true });
  return withHandleFor(context, { name: 'dev', open }, (dev) => {
    const nodes = listDevices(config).map((node) => toMake(context, node));
    return [
      ...forEachNode(memory, nodes, (node) => planDevice(context, node, { dev, made })),
      ...planLinks(dev, host.kernel),
    ];
  });
}

function toMake({ bundle }: PlanContext, node: DeviceNode): NodeToMake {
  const { path, fileType, mode, major, minor, uid, gid } = node;
  return {
    ...node,
    name: components(path).at(-1) ?? '',
    hostPath: bundle.devices?.[deviceKey(node)]?.path ?? path,
    typeAndMode: fileType | mode,
    number: encodeDevice(major, minor),
    statNumber: statNumber(major, minor),
    owner: [uid, gid],
  };
}

function warnOfModes(context: PlanContext): void {
  if (!mustBindDevices(context)) return;
  for (const node of listDevices(context.config)) {
    const mode = context.bundle.devices?.[deviceKey(node)]?.mode;
    if (mode === undefined || mode === node.mode || node.pointer === undefined) continue;
    const [wanted, found] = [node.mode, mode].map((bits) => bits.toString(8).padStart(4, '0'));
    context.warnings.push(
      `device ${JSON.stringify(node.path)} is the host's in a user namespace: its mode stays ${found ?? ''}, not ${wanted ?? ''} (${node.pointer}/fileMode)`,
    );
  }
}

/** Not in a rootfs that stays as it is, nor in a /dev that is bind-mounted. */
export function makesDevices({ config }: Pick<PlanContext, 'config'>): boolean {
  return (findNamespace(config, 'mount') !== undefined || needsRootfsCover(config)) && !isDevBound(config);
}

function isDevBound({ mounts = [] }: Config): boolean {
  return mounts.some((mount) => cleanPath(mount.destination) === '/dev' && isBindMount(mount));
}

interface DeviceWords {
  /** Handle of /dev. */
  readonly dev: Region;
  /** Result of the latest mknodat. */
  readonly made: Region;
}

function planDevice(context: PlanContext, node: NodeToMake, { dev, made }: DeviceWords): Step[] {
  const parent = `/${components(node.path).slice(0, -1).join('/')}`;
  if (parent === '/dev') return makeNode(context, node, { directory: dev, made });
  const options = { kind: 'directory', noSymlinks: parent.startsWith('/dev/'), ...pointerOf(node) } as const;
  const open = (target: Region): Step[] => ensureInRoot(context, parent, target, options);
  return withHandle(context, { name: 'target', open }, (target) =>
    makeNode(context, node, { directory: target, made }),
  );
}

interface NodeWords {
  /** Handle of the directory that the device lies in. */
  readonly directory: Region;
  readonly made: Region;
}

/**
 * Makes one device. Where that is not allowed (a user namespace, or a device cgroup around tsrun) the host's own device is
 * bind-mounted instead.
 */
function makeNode(context: PlanContext, node: NodeToMake, { directory, made }: NodeWords): Step[] {
  const shown = JSON.stringify(node.path);
  if (mustBindDevices(context) && node.fileType !== S_IFIFO) return bindNode(context, node, directory);
  const make = call('mknodat', [directory, node.name, node.typeAndMode, node.number], {
    label: `create device ${shown}`,
    ...pointerOf(node),
    accept: ['EEXIST', 'EPERM'],
    result: made,
  });
  return [
    make,
    ...when(failedWith(made, 'EEXIST'), verifyExisting(context, node, directory), `verify ${shown} when it was there`),
    ...when(failedWith(made, 'EPERM'), bindNode(context, node, directory), `bind ${shown} when it cannot be created`),
    ...changeOwner(context, node, { directory, made }),
  ];
}

/** The kernel lets nobody but root of the machine make devices. */
export function mustBindDevices({ config, host }: Pick<PlanContext, 'config' | 'host'>): boolean {
  return findNamespace(config, 'user') !== undefined || host.identity.inUserNamespace;
}

/** A device of the image stays, with its mode and owner, when it is the right one. config-linux.md: otherwise it MUST fail. */
function verifyExisting(context: PlanContext, node: NodeToMake, directory: Region): Step[] {
  const shown = JSON.stringify(node.path);
  return withNode(context, node, directory, (source) => [
    statHandle(context, source, `look at ${shown}`),
    ...failUnlessDevice(context, node, `create device ${shown}: another file is there`),
  ]);
}

function changeOwner(context: PlanContext, node: NodeToMake, { directory, made }: NodeWords): Step[] {
  const { uid, gid } = node;
  if (uid === 0 && gid === 0) return [];
  const shown = JSON.stringify(node.path);
  const steps = withNode(context, node, directory, (source) => [
    statHandle(context, source, `look at ${shown}`),
    ...failUnlessDevice(context, node, `change owner of device ${shown}: it was replaced`),
    call('fchownat', [source, '', ...node.owner, AT_EMPTY_PATH], {
      label: `change owner of device ${shown} to ${uid}:${gid}`,
      ...pointerOf(node),
    }),
  ]);
  return when(isZero(made), steps, `leave the owner of ${shown} unless it was created`);
}

/**
 * The host's own node has to do. It is found by type and numbers, whatever its name there, and mounted without set-uid programs and
 * executables. Its mode and owner stay: they are the host's inode's, which is none of the container's to change.
 */
function bindNode(context: PlanContext, node: NodeToMake, directory: Region): Step[] {
  const path = node.hostPath;
  const shown = JSON.stringify(path);
  const label = `bind device ${shown} of the host`;
  const pointer = pointerOf(node);
  const attributes = { set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, clear: 0 };
  const change = (tree: Region): Step[] =>
    changeAttributes(context, tree, attributes, { label: `${label}: set options`, ...pointer });
  // The older form of it is a remount, which needs the mount in its place.
  const isEarly = context.host.kernel.mountSetattr;
  const open = (result: Region): Step[] => [
    call('open_tree', [AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
      label: `open device ${shown} of the host`,
      ...pointer,
      result,
    }),
  ];
  return withHandle(context, { name: 'tree', open }, (tree) => [
    statHandle(context, tree, `look at device ${shown} of the host`),
    ...failUnlessDevice(context, node, `${label}: it is another device`),
    ...(isEarly ? change(tree) : []),
    call('mknodat', [directory, node.name, S_IFREG | 0o644, 0], {
      label: `create file ${JSON.stringify(node.path)}`,
      ...pointer,
      accept: ['EEXIST'],
    }),
    ...withNode(context, node, directory, (source) => [
      call('move_mount', [tree, '', source, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH], {
        label,
        ...pointer,
      }),
    ]),
    ...(isEarly ? [] : change(tree)),
  ]);
}

/** The steps in which `source` is what lies at the path of the device. A symlink is not followed: it is a file of another type. */
function withNode(
  context: PlanContext,
  node: NodeToMake,
  directory: Region,
  use: (source: Region) => readonly Step[],
): Step[] {
  const open = (result: Region): Step[] => [
    call('openat', [directory, node.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0], {
      label: `open device ${JSON.stringify(node.path)}`,
      ...pointerOf(node),
      result,
    }),
  ];
  return withHandle(context, { name: 'source', open }, use);
}

/** Fails when the latest `statHandle` saw anything but this device. */
function failUnlessDevice(context: PlanContext, node: NodeToMake, problem: string): Step[] {
  const { fileType, major, minor } = node;
  const typeName = TYPE_NAMES.get(fileType) ?? '';
  const wanted = fileType === S_IFIFO ? typeName : `${typeName} ${major}:${minor}`;
  const options = { label: `${problem}, wanted ${wanted}`, ...pointerOf(node) };
  const isOtherType = failWhen(not(isFileType(context, fileType, typeName)), 'EEXIST', options);
  if (fileType === S_IFIFO) return [isOtherType];
  return [isOtherType, failWhen(not(isDeviceNumber(context, major, minor, node.statNumber)), 'EEXIST', options)];
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [S_IFCHR, 'a character device'],
  [S_IFBLK, 'a block device'],
  [S_IFIFO, 'a FIFO'],
]);

/** The kernel's new_decode_dev() in reverse: minor bits 0 to 7, major from bit 8, the rest of minor from bit 20. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

const LINKS: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];
const CORE_LINK: readonly [string, string] = ['core', '/proc/kcore'];

/** What is there already stays, except for ptmx: one of the host's devpts must not survive. */
function planLinks(dev: Region, { hasKcore }: KernelFacts): Step[] {
  const links = hasKcore ? [...LINKS, CORE_LINK] : LINKS;
  return [
    // EBUSY: the config mounts something there.
    call('unlinkat', [dev, 'ptmx', 0], { label: 'remove "/dev/ptmx"', accept: ['ENOENT', 'EBUSY'] }),
    link(dev, 'ptmx', 'pts/ptmx'),
    ...links.map(([name, to]) => link(dev, name, to)),
  ];
}

function link(dev: Region, name: string, to: string): Step {
  return call('symlinkat', [to, dev, name], {
    label: `link "/dev/${name}" to ${JSON.stringify(to)}`,
    accept: ['EEXIST'],
  });
}

function pointerOf({ pointer }: DeviceNode): { pointer?: string } {
  return pointer === undefined ? {} : { pointer };
}
