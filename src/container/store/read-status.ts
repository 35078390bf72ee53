import { readFileSync, statSync } from 'node:fs';
import { findUserName } from '../../plan/process/environment.ts';
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

/** The name that /etc/passwd gives the user who owns a directory; `#uid` where it has none. */
function ownerOf(directory: string): string {
  const { uid } = statSync(directory);
  if (uid === 0) return 'root';
  return findUserName(readUsers(), uid) ?? `#${uid}`;
}

function readUsers(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    // What cannot be read names nobody.
    return '';
  }
}
