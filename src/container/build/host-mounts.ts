import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseMountinfo } from '../../host/mountinfo.ts';
import { findHostRemains, planHideHost, type HostMount } from '../../plan/rootfs/host-mounts.ts';
import type { Conversation } from '../../process/conversation.ts';

/** Offset of u64 stx_mnt_id in struct statx (man 2 statx). */
const STX_MNT_ID = 144;
/** One round unmounts, a second covers what is locked; the others are for mounts that come and go on the host meanwhile. */
const MAX_ROUNDS = 8;

/**
 * The parent's part of `--no-pivot`: has init hide the host's mounts, in the mount namespace that is the container's from now on, and
 * looks whether they are hidden. Mounts of the host come and go, so what counts is what init's own mountinfo says, before and after.
 *
 * `statx` comes with the reply `host-mounts`. Errors: `host` when a full proc or sysfs stays in view, or mountinfo cannot be read.
 */
export async function hideHostMounts(
  conversation: Conversation,
  { pid, statx }: { readonly pid: number; readonly statx: Buffer },
): Promise<void> {
  const rootfs = Number(statx.readBigUInt64LE(STX_MNT_ID));
  let known = new Set<number>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const remains = findHostRemains(readMounts(pid), rootfs);
    const { tops, revealing } = remains;
    const isTried = tops.every(({ id }) => known.has(id));
    if (revealing.length === 0 && isTried) return;
    await conversation.run(planHideHost(remains, { sync: conversation.syncFd, cover: isTried }));
    known = new Set(tops.map(({ id }) => id));
  }
  const [left] = findHostRemains(readMounts(pid), rootfs).revealing;
  if (left !== undefined) throw new TsrunError('host', stillInView(left));
}

function stillInView({ type, mountPoint }: HostMount): string {
  const shown = JSON.stringify(Buffer.from(mountPoint, 'latin1').toString());
  return `move the rootfs: the host's ${type} on ${shown} cannot be unmounted or covered, and would let the container mount another`;
}

function readMounts(pid: number): HostMount[] {
  const file = `/proc/${pid}/mountinfo`;
  try {
    // A mount point is bytes: latin1 keeps each of them.
    return parseMountinfo(readFileSync(file, 'latin1'));
  } catch (cause) {
    throw TsrunError.of('host', `read ${JSON.stringify(file)}`, cause);
  }
}
