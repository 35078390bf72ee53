import type { ManagedCgroup } from '../../cgroup/cgroup.ts';
import { openCgroup, openManagedCgroup } from '../../cgroup/select.ts';
import { readUnifiedDirectory } from '../../host/cgroup-layout.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import { planEntry, type EntryInput } from '../../plan/choose-exec.ts';
import type { ExecPlan } from '../../plan/exec.ts';
import { execProcess } from '../../plan/exec-process.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import { requirePassableFilter } from '../../plan/seccomp/refusals.ts';
import type { Config, Process } from '../../spec/generated/config.ts';
import { duplicateAbove } from '../../sys/fd.ts';
import { wording } from '../../util/wording.ts';
import { hostFactsOf, mountsOf } from '../caller/host.ts';
import type { Runtime } from '../caller/caller.ts';
import { requireConsole } from '../caller/console.ts';
import type { Foreground } from '../caller/foreground.ts';
import { waitInForeground } from '../caller/relaying-foreground.ts';
import { StateDirectory } from '../store/directory.ts';
import type { ExecOptions } from '../store/options.ts';
import { openProcessHandle, type ProcessHandle } from '../store/process-handle.ts';
import type { ProcessIdentity } from '../store/process-identity.ts';
import type { ContainerRecord } from '../store/record.ts';
import { readSavedConfig } from '../store/saved-config.ts';
import { currentStatus } from '../store/status.ts';
import { compileSeccomp } from './become-program.ts';
import { findUser } from './find-user.ts';
import { openInitRoot } from './look-into.ts';
import { lookInto, type InitView } from './look-into.ts';
import { wrongStatus } from '../store/ids.ts';

/** A further process of a container, of which everything is decided and nothing made. */
export interface PreparedExec extends Disposable {
  readonly directory: StateDirectory;
  readonly record: ContainerRecord;
  readonly cgroup: ManagedCgroup;
  readonly process: Process;
  /** The configuration of the container. */
  readonly saved: Config;
  readonly host: HostFacts;
  /** The container's init, and what was seen of it. */
  readonly init: ProcessHandle;
  readonly view: InitView;
  /** Who waits for the process; undefined where nobody does. */
  readonly foreground: Foreground | undefined;
  readonly seccomp: CompiledSeccomp | undefined;
  readonly plan: ExecPlan;
}

/**
 * Looks at the container, and decides everything. Errors: `id`, `not-found`, `state`, `status`, `config`, `usage`, `unsupported`, `cgroup`,
 * `host`.
 */
export async function prepareExec(runtime: Runtime, options: ExecOptions): Promise<PreparedExec> {
  const held: Disposable[] = [];
  const hold = <Thing extends Disposable>(thing: Thing): Thing => {
    held.push(thing);
    return thing;
  };
  const release = (): void => {
    for (const thing of held.splice(0).reverse()) thing[Symbol.dispose]();
  };
  try {
    return { ...(await prepare(runtime, options, hold)), [Symbol.dispose]: release };
  } catch (error) {
    release();
    throw error;
  }
}

async function prepare(
  runtime: Runtime,
  options: ExecOptions,
  hold: <Thing extends Disposable>(thing: Thing) => Thing,
): Promise<Omit<PreparedExec, typeof Symbol.dispose>> {
  const { caller, log } = runtime;
  runtime.tracer?.phase('look at the container, and plan');
  const { consoleSocket, takeConsole, detach, preserved, subCgroups } = options;
  const directory = hold(new StateDirectory(runtime.root, options.id));
  const record = directory.readRecord();
  const identity = requireRunning(directory, record, options);
  const saved = readSavedConfig(directory, caller.loadConfig);
  const init = openProcessHandle(identity);
  if (init === undefined) throw wrongStatus(directory.id, wording.execStopped);
  hold(init);
  const host = hostFactsOf(caller);
  const view = hold(await lookInto(init, { directory, record, host }));
  const change = findUser(options.change, () =>
    view.root === undefined ? openInitRoot(init) : duplicateAbove(view.root.number, 0),
  );
  const process = execProcess(saved, change);
  const terminal = process.terminal === true;
  requireConsole({ terminal, detached: detach, consoleSocket, isTaken: takeConsole !== undefined });
  const foreground = detach ? undefined : hold(waitInForeground(caller, options));
  if (terminal) foreground?.requireTerminal();
  const seccomp = await compileSeccomp(saved, process, host, { runtime, isCached: true });
  requirePassableFilter(seccomp, { waits: false });
  const input: EntryInput = {
    container: record,
    config: { ...saved, process },
    host,
    inodes: view.inodes,
    handed: view.handles && [...view.handles.keys()],
    ...(hasUnified(record) && { initUnified: readUnifiedDirectory(init.path, () => mountsOf(caller)) }),
    options: {
      preserveFds: preserved.length,
      detach,
      ...(subCgroups && { subCgroups }),
      ...(caller.openFiles && { openFiles: caller.openFiles }),
    },
    seccomp,
  };
  // What is measured is measured step by step.
  const { planEntry: known = planEntry } = runtime.tracer === undefined ? caller : {};
  const plan = known(input, saved);
  for (const warning of plan.warnings) log.warning(warning);
  const cgroup = openManagedCgroup(record.cgroup, caller.buses);
  return { directory, record, cgroup, process, saved, host, init, view, foreground, seccomp, plan };
}

function hasUnified({ cgroup }: ContainerRecord): boolean {
  return cgroup.directories.some(({ kind }) => kind === 'v2');
}

/** The container has run when this was prepared. Errors: `status` when it has ended, or is paused. */
export function requireStillRunning(
  { directory, record, init }: PreparedExec,
  { ignorePaused }: Pick<ExecOptions, 'ignorePaused'>,
): void {
  if (!init.isAlive()) throw wrongStatus(directory.id, wording.execStopped);
  if (!ignorePaused && openCgroup(record.cgroup).isFrozen()) throw wrongStatus(directory.id, wording.execPaused);
}

function requireRunning(
  directory: StateDirectory,
  record: ContainerRecord,
  { ignorePaused }: Pick<ExecOptions, 'ignorePaused'>,
): ProcessIdentity {
  const status = currentStatus(directory, record);
  if (status === 'stopped' || status === 'creating' || record.init === undefined) {
    throw wrongStatus(directory.id, wording.execStopped);
  }
  if (status === 'paused' && !ignorePaused) {
    throw wrongStatus(directory.id, wording.execPaused);
  }
  return record.init;
}
