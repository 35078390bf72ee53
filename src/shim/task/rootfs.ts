import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { readArch } from '../../host/facts.ts';
import { openIdmapNamespaces } from '../../process/idmapped-namespaces.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile, openInRoot } from '../../sys/file.ts';
import { attachLoopDevice } from '../../sys/loop-device.ts';
import { attachMount, cloneMapped, mountAt, unmountAt } from '../../sys/mount.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { MS_RDONLY, MS_REC, O_PATH } from '../../util/constants.ts';
import type { Mount } from '../wire/common.ts';
import { planMount, type MountIdMap, type PlannedMount } from './plan-mount.ts';

/** More than these on one place are a mistake of this program. */
const LAYERS_MAX = 64;
/** How directories in a bundle begin where lower directories are mounted for a moment. */
const MAPPED = 'lower-';

/** Makes the mounts that are the root file system of a bundle, in their order; when one fails there is none. Errors: `host`, `RpcError`. */
export async function mountRootfs(target: string, mounts: readonly Mount[]): Promise<void> {
  const planned = mounts.flatMap(planMount);
  try {
    for (const mount of planned) {
      using namespace = mount.idMap === undefined ? undefined : await openNamespace(mount.idMap, target);
      mountOne(target, mount, namespace);
    }
  } catch (error) {
    unmountRootfs(target);
    throw error;
  }
}

/** A user namespace that maps so. The bundle is private to root. */
async function openNamespace({ uid, gid }: MountIdMap, rootfs: string): Promise<OwnedFd> {
  const options = { arch: readArch(), fallbackDirectory: path.dirname(rootfs) };
  const [namespace] = await openIdmapNamespaces([{ kind: 'new', uid, gid }], options);
  if (namespace === undefined) throw new Error('no user namespace');
  return namespace;
}

function mountOne(rootfs: string, mount: PlannedMount, namespace: OwnedFd | undefined): void {
  const { directory, target, isImage, lower, source, flags, type, data } = mount;
  const device = isImage === true ? attachLoopDevice(source, { isReadOnly: (flags & MS_RDONLY) !== 0 }) : undefined;
  using _device = device?.fd;
  using place = openPlace(rootfs, target);
  const make = (own: string): void => {
    mountAt(descriptorPath(place.number), { type, flags, data: own, source: device?.path ?? source });
  };
  if (namespace !== undefined && lower !== undefined) {
    withMapped(path.dirname(rootfs), { lower, namespace }, (option) => {
      make(data === '' ? option : `${data},${option}`);
    });
    return;
  }
  if (directory === undefined) make(data);
  else
    within(directory, () => {
      make(data);
    });
  if (namespace === undefined) return;
  using made = openPlace(rootfs, target);
  coverMapped(made, namespace, (flags & MS_REC) !== 0);
}

/** What is mounted there, once more over itself with ids that are mapped. */
function coverMapped(mounted: OwnedFd, namespace: OwnedFd, isDeep: boolean): void {
  const at = descriptorPath(mounted.number);
  using tree = cloneMapped(at, namespace, { isDeep, isReadOnly: false });
  attachMount(tree, at);
}

/**
 * Calls with the option of an overlay that names copies of the lower directories whose ids are mapped. They are mounted as long as that
 * takes, since an overlay takes nothing that is mounted nowhere; then it holds them itself.
 */
function withMapped(
  bundle: string,
  { lower, namespace }: { readonly lower: readonly string[]; readonly namespace: OwnedFd },
  body: (option: string) => void,
): void {
  const directory = mkdtempSync(path.join(bundle, MAPPED));
  try {
    for (const [index, source] of lower.entries()) {
      // Whoever clears a bundle away whose shim has died meanwhile takes nothing of an image with it.
      using tree = cloneMapped(source, namespace, { isDeep: false, isReadOnly: true });
      const target = path.join(directory, String(index));
      mkdirSync(target);
      attachMount(tree, target);
    }
    within(directory, () => {
      body(`lowerdir=${lower.map((_, index) => index).join(':')}`);
    });
  } finally {
    removeMapped(directory);
  }
}

function removeMapped(directory: string): void {
  for (const name of readdirSync(directory)) {
    const place = path.join(directory, name);
    unmountAll(place);
    // Not with what is in it: what could not be unmounted is the image itself.
    rmdirSync(place);
  }
  rmdirSync(directory);
}

/** What is mounted there already may belong to whoever made the image: its links lead nowhere else. */
function openPlace(rootfs: string, target: string | undefined): OwnedFd {
  const root = openFile(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (target === undefined) return root;
  using _root = root;
  return openInRoot(root, target);
}

/** Unmounts the root file system of a bundle, and what its making may have left there. Errors: `host`. */
export function unmountRootfs(target: string): void {
  unmountAll(target);
  const bundle = path.dirname(target);
  const names = existsSync(bundle) ? readdirSync(bundle) : [];
  for (const name of names) if (name.startsWith(MAPPED)) removeMapped(path.join(bundle, name));
}

/** Unmounts all that is mounted at a place. */
function unmountAll(target: string): void {
  try {
    for (let count = 0; count < LAYERS_MAX; count += 1) unmountAt(target);
  } catch (error) {
    // Nothing is mounted there (any more).
    if (!hasErrno(error, 'EINVAL', 'ENOENT')) throw error;
  }
}

/** Nothing else runs meanwhile; a shim's working directory is the root. */
function within(directory: string, body: () => void): void {
  process.chdir(directory);
  try {
    body();
  } finally {
    process.chdir('/');
  }
}
