import { openCgroup } from '../cgroup/select.ts';
import { hasErrno } from '../sys/errno.ts';
import { pidfdSendSignal } from '../sys/process/pidfd.ts';
import { openProcess } from './store/process-identity.ts';
import { forMatchingIds } from './store/select-ids.ts';
import type { KillOptions, RuntimeOptions } from './store/options.ts';
import { StateDirectory } from './store/directory.ts';
import { currentStatus } from './store/status.ts';
import { wording } from '../util/wording.ts';
import { wrongStatus } from './store/ids.ts';

const SIGKILL = 9;
/** Signals that people send to end a process: HUP INT QUIT ABRT USR1 USR2 PIPE ALRM TERM, whose default action does that (man 7 signal). */
const ENDING: ReadonlySet<number> = new Set([1, 2, 3, 6, 10, 12, 13, 14, 15]);

/**
 * Sends a signal to a container's init, or to every process of its cgroup (runtime.md, "Kill").
 *
 * With `all`, that nothing is left to signal is a success, as with runc: containerd calls it so after the end of init.
 * Errors: `not-found`; `status` with `container not running` when there is nothing to signal; with `isPattern` only `usage`.
 */
export async function killContainer(runtime: RuntimeOptions, options: KillOptions): Promise<void> {
  const { id, isPattern = false } = options;
  if (!isPattern) return killOne(runtime, options);
  await forMatchingIds(runtime, id, (match) => killOne(runtime, { ...options, id: match }));
}

async function killOne(runtime: RuntimeOptions, { id, signal, all }: KillOptions): Promise<void> {
  using directory = new StateDirectory(runtime.root, id);
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  // Without a cgroup of its own nobody knows all of its processes.
  const hasCgroup = record.cgroup.directories.length > 0;
  if (all && hasCgroup) {
    await openCgroup(record.cgroup).killAll(signal);
    return;
  }
  if (all && status === 'stopped') return;
  // Without a pid namespace of its own the death of init does not end the others, nor did its own end.
  const hasOthers = signal === SIGKILL && !record.hasPidNamespace && hasCgroup;
  if (hasOthers && status !== 'creating') {
    const cgroup = openCgroup(record.cgroup);
    if (status === 'stopped' && cgroup.processes().length === 0) throw wrongStatus(id, wording.notRunning);
    await cgroup.killAll(SIGKILL);
    return;
  }
  if (status === 'stopped' || status === 'creating' || record.init === undefined)
    throw wrongStatus(id, wording.notRunning);
  using pidfd = openProcess(record.init);
  if (pidfd === undefined) throw wrongStatus(id, wording.notRunning);
  // Init of a pid namespace that has installed no handlers is deaf to every signal but SIGKILL (man 7 pid_namespaces). The
  // program that it is to become is not there yet, so a signal that would end the program ends the container.
  const effective = status === 'created' && ENDING.has(signal) ? SIGKILL : signal;
  try {
    pidfdSendSignal(pidfd.number, effective);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) throw wrongStatus(id, wording.notRunning);
    throw error;
  }
  if (effective === SIGKILL && status === 'paused') await openCgroup(record.cgroup).thaw();
}
