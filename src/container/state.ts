import { statSync } from 'node:fs';
import os from 'node:os';
import { specVersionMax } from '../spec/versions.ts';
import type { ContainerStatus, RuntimeOptions } from './store/options.ts';
import { StateDirectory } from './store/directory.ts';
import { currentStatus } from './store/status.ts';

/** The container as it is at this moment (runtime.md, "Query State"). Errors: `id`, `not-found`, `state`. */
export function readStatus(runtime: RuntimeOptions, id: string): ContainerStatus {
  using directory = new StateDirectory(runtime.root, id);
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  return {
    ociVersion: specVersionMax,
    id: record.id,
    pid: status === 'stopped' ? 0 : (record.init?.pid ?? 0),
    status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: record.created,
    ...(record.annotations === undefined ? {} : { annotations: record.annotations }),
    owner: ownerOf(directory.file()),
  };
}

/** The name of the user who owns the directory, where it is the caller or root; otherwise `#uid`. */
function ownerOf(path: string): string {
  const { uid } = statSync(path);
  if (uid === 0) return 'root';
  const own = os.userInfo();
  return own.uid === uid ? own.username : `#${uid}`;
}
