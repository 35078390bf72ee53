import type { HostFacts } from '../../plan/base/facts.ts';
import { descriptorNumbers } from '../../plan/base/context.ts';
import { mountPointsConfig } from '../../plan/checkpoint/mount-points.ts';
import { Conversation } from '../../process/conversation.ts';
import { spawnInit } from '../../process/spawned.ts';
import { openFile } from '../../sys/file.ts';
import { O_RDWR } from '../../util/constants.ts';
import { bringUp } from '../build/bring-up.ts';
import { planFor, type OpenedBundle } from '../build/prepare-container.ts';
import type { Runtime } from '../caller/caller.ts';

/**
 * Makes what the mounts of a container are mounted on, as creating it would, where the rootfs lacks it. Errors: those of the steps.
 */
export async function makeMountPoints(
  runtime: Runtime,
  { directory, bundle }: OpenedBundle,
  host: HostFacts,
): Promise<void> {
  const config = mountPointsConfig(bundle.config);
  const options = { id: directory.id, noPivot: false, noNewKeyring: true, preserved: [] };
  const material = { bundle: { ...bundle, config }, host, seccomp: undefined };
  const plan = planFor({ ...runtime, cgroupManager: 'disabled' }, options, material);
  const syncFd = descriptorNumbers(0).sync;
  using nothing = openFile('/dev/null', O_RDWR);
  const partner = spawnInit({
    arch: host.arch,
    syncFd,
    callers: new Map([0, 1, 2].map((fd) => [fd, nothing.number])),
    fallbackDirectory: directory.file(),
  });
  const conversation = new Conversation(partner.socket, { arch: host.arch, syncFd });
  try {
    for await (const reply of bringUp(plan.phases, conversation))
      if (reply.exchange === 'pid') partner.becomes(reply.pid);
  } finally {
    conversation.close();
    await partner.end();
  }
}
