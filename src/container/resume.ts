import { openCgroup } from '../cgroup/select.ts';
import { StateDirectory } from './store/directory.ts';
import type { RuntimeOptions } from './store/options.ts';
import { wording } from '../util/wording.ts';
import { wrongStatus } from './store/ids.ts';

/** Lets the processes of a paused container go on. Errors: `not-found`; `status` unless it is paused; `cgroup`. */
export async function resumeContainer(runtime: RuntimeOptions, id: string): Promise<void> {
  using directory = new StateDirectory(runtime.root, id);
  directory.readRecord();
  using _lock = await directory.lock();
  const cgroup = openCgroup(directory.readRecord().cgroup);
  // A created container may have been paused too, whose status stays `created` as long as init has not become the program.
  if (!cgroup.isFrozen()) throw wrongStatus(id, wording.notPaused);
  await cgroup.thaw();
}
