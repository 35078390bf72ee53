import { statSync } from 'node:fs';
import os from 'node:os';
import { specVersionMax } from '../../spec/versions.ts';
import { StateDirectory } from './directory.ts';
import type { ContainerStatus } from './options.ts';
import { currentStatus } from './status.ts';

/** What `state` and `list` show of a container below a root directory. Errors: `id`, `not-found`, `state`. */
export function readContainerStatus(root: string, id: string): ContainerStatus {
  using directory = new StateDirectory(root, id);
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
