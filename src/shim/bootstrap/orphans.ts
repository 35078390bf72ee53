import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Log } from '../../log.ts';
import { readBundleRecord, writeDeletedAnswer } from '../task/bundle-record.ts';
import type { HeldContainers } from '../task/containers.ts';
import { encodeKilled, removeByRecord } from './delete.ts';
import { readAddress } from './socket.ts';

/**
 * Removes what a shim that has died at `socket` has left of its containers, whose bundles are in a directory: containerd's patience with
 * `delete` may have been too short for all of them at a time. The bundles stay, for a `delete` that comes later.
 */
export async function removeOrphans(
  directory: string,
  {
    socket,
    containers,
    log,
  }: { readonly socket: string; readonly containers: Pick<HeldContainers, 'has'>; readonly log: Log },
): Promise<void> {
  for (const id of readdirSync(directory)) {
    const bundle = path.join(directory, id);
    const warn = (message: string): void => {
      log.warning(`remove what is left of container ${JSON.stringify(id)}: ${message}`);
    };
    try {
      // A bundle has a record from its container's creation on: one that is not held here is nobody's.
      if (containers.has(id) || readBundleRecord(bundle) === undefined || readAddress(bundle) !== socket) continue;
      writeDeletedAnswer(bundle, encodeKilled(await removeByRecord(bundle, id, warn)));
    } catch (error) {
      warn(error instanceof Error ? error.message : String(error));
    }
  }
}
