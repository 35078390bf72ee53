import { openCgroup } from '../cgroup/select.ts';
import { StateDirectory } from './store/directory.ts';
import type { RuntimeOptions } from './store/options.ts';
import { currentStatus } from './store/status.ts';
import { wording } from '../util/wording.ts';
import { wrongStatus } from './store/ids.ts';

/**
 * Stops every process of a container where it is, by the freezer of its cgroup; returns when they stand still.
 *
 * Errors: `not-found`; `status` unless the container is created or running; `cgroup`, also when it does not freeze within 10 s (it is
 * thawed again then).
 */
export async function pauseContainer(runtime: RuntimeOptions, id: string): Promise<void> {
  using directory = new StateDirectory(runtime.root, id);
  directory.readRecord();
  using _lock = await directory.lock();
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  if (status === 'paused') throw wrongStatus(id, `${wording.notRunning}: ${wording.paused}`);
  if (status !== 'running' && status !== 'created') throw wrongStatus(id, wording.notRunning);
  await openCgroup(record.cgroup).freeze();
}
