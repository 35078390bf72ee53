import { block, call } from '../../program/build.ts';
import type { Block, Program, Step } from '../../program/step.ts';
import { MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC } from '../../util/constants.ts';
import { EXCHANGES } from '../base/exchanges.ts';
import { reply } from '../base/reply.ts';

/** What a line of init's mountinfo says about a mount. */
export interface HostMount {
  readonly id: number;
  readonly parent: number;
  /** Directory of the file system that is mounted: `/` for all of it. */
  readonly root: string;
  /** Seen from the old root. Shape: one character for each byte, as a mount point need not be UTF-8. */
  readonly mountPoint: string;
  readonly type: string;
}

/** What `--no-pivot` leaves of the host behind a rootfs that was moved onto the old root. */
export interface HostRemains {
  /** Mounts directly below the old root, in the order in which they were mounted. `isCovered`: another lies on it, on the same path. */
  readonly tops: readonly (HostMount & { readonly isCovered: boolean })[];
  /** Those anywhere below that make the kernel believe that the container may see all of proc or sysfs. */
  readonly revealing: readonly HostMount[];
}

/** fs/namespace.c, mount_too_revealing(): what has SB_I_USERNS_VISIBLE. */
const GUARDED_TYPES: ReadonlySet<string> = new Set(['proc', 'sysfs']);

/** `rootfs` is the id of the rootfs' mount, which lies on the old root itself. */
export function findHostRemains(mounts: readonly HostMount[], rootfs: number): HostRemains {
  const children = new Map<number, HostMount[]>();
  for (const mount of mounts) {
    const siblings = children.get(mount.parent);
    if (siblings === undefined) children.set(mount.parent, [mount]);
    else siblings.push(mount);
  }
  const inside = new Set<number>([rootfs]);
  // A set that grows while it is walked: whatever is mounted below the rootfs is the container's.
  for (const id of inside) for (const child of children.get(id) ?? []) inside.add(child.id);
  const oldRoot = mounts.find(({ id }) => id === rootfs)?.parent;
  const outside = mounts.filter(({ id }) => !inside.has(id));
  const isCovered = ({ id, mountPoint }: HostMount): boolean =>
    (children.get(id) ?? []).some((child) => child.mountPoint === mountPoint);
  return {
    tops: outside
      .filter(({ parent, id }) => parent === oldRoot && id !== oldRoot)
      .map((mount) => ({ ...mount, isCovered: isCovered(mount) })),
    revealing: outside.filter((mount) => mount.root === '/' && GUARDED_TYPES.has(mount.type) && !isCovered(mount)),
  };
}

/**
 * Takes the host's mounts away behind a rootfs that was moved onto the old root and not entered yet: the kernel lets a user namespace
 * inside the container mount a bare proc or sysfs as long as any full one is in the mount namespace, reachable or not, so masked and
 * read-only paths would protect nothing.
 *
 * All of them go, the latest first: it may hide an earlier one. What cannot go stays and the full proc and sysfs in it are mounted
 * over with `cover`, which makes them count no more: mounts that a user namespace has inherited are locked, and where one lies on
 * another the end of the upper would propagate to the host by way of the lower, which no path leads to. Every errno is accepted: what
 * these steps have done shows in the next look at the mounts.
 */
export function planHideHost(
  { tops, revealing }: HostRemains,
  options: { readonly sync: number; readonly cover: boolean },
): Program {
  const steps = options.cover ? revealing.map(cover) : tops.toReversed().flatMap(takeAway);
  const answer = reply(options.sync, 'host-mounts', 'tell that the mounts of the host are hidden');
  return {
    name: 'hide the mounts of the host',
    steps: [...steps, answer],
    replies: true,
    reply: EXCHANGES['host-mounts'],
  };
}

function takeAway({ mountPoint, isCovered }: HostRemains['tops'][number]): Step[] {
  const shown = JSON.stringify(mountPoint);
  const place = pathOf(mountPoint);
  // What is done here must not propagate to the host, and nothing of the host must come in later.
  const cutOff = call('mount', [0, place, 0, MS_PRIVATE | MS_REC, 0], {
    label: `cut ${shown} of the host off`,
    accept: 'any',
  });
  if (isCovered) return [cutOff];
  const unmount = call('umount2', [place, MNT_DETACH], {
    label: `unmount ${shown} of the host`,
    accept: 'any',
  });
  return [cutOff, unmount];
}

function cover({ mountPoint }: HostMount): Step {
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  return call('mount', ['tmpfs', pathOf(mountPoint), 'tmpfs', flags, 'nr_blocks=1,nr_inodes=1'], {
    label: `cover ${JSON.stringify(mountPoint)} of the host`,
    accept: 'any',
  });
}

function pathOf(mountPoint: string): Block {
  const bytes = new Uint8Array(mountPoint.length + 1);
  for (let index = 0; index < mountPoint.length; index++) bytes[index] = mountPoint.charCodeAt(index);
  return block(bytes, JSON.stringify(mountPoint));
}
