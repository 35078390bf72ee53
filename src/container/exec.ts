import { TsrunError } from '../errors.ts';
import { readArch, readHostFacts, readNamespaces } from '../host/facts.ts';
import { planExec, type ExecPlan } from '../plan/exec.ts';
import type { HostFacts } from '../plan/facts.ts';
import type { NAMESPACE_FLAGS } from '../plan/namespaces.ts';
import type { CompiledSeccomp } from '../plan/seccomp/load.ts';
import type { Config } from '../spec/generated/config.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { pidfdOpen } from '../sys/pidfd.ts';
import { exitCode } from '../sys/wait.ts';
import { O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { bringUp, type BroughtUp } from './bring-up.ts';
import { Cleanup } from './cleanup.ts';
import { requireConsole, sendConsole } from './console.ts';
import { execProcess } from './exec-process.ts';
import { Foreground } from './foreground.ts';
import { writePidFile } from './pid-file.ts';
import { requirePreservedDescriptors } from './preserved-descriptors.ts';
import { openProcess, type ProcessIdentity } from './process-identity.ts';
import { waitForChild } from './run.ts';
import type { ExecOptions, Runtime } from './runtime.ts';
import { becomeProgram, compileSeccomp, handOverListener, stateOf } from './seccomp.ts';
import { StateDirectory, type ContainerRecord } from './state-store.ts';
import { currentStatus } from './status.ts';

/**
 * Runs a further process in a container.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: `not-found`, `status`, `config` for the process,
 * `program`, `step`, `cgroup`, `host`.
 */
export async function execInContainer(runtime: Runtime, options: ExecOptions): Promise<number> {
  const directory = new StateDirectory(runtime.root, options.id);
  requirePreservedDescriptors(options.preserveFds);
  const record = directory.readRecord();
  const init = requireRunning(directory, record, options);
  const config = directory.readConfig();
  const process = execProcess(config, options.change);
  const terminal = process.terminal === true;
  const { consoleSocket, detach } = options;
  requireConsole({ terminal, detached: detach, consoleSocket });
  using foreground = new Foreground(options.stdio);
  if (terminal && !detach) foreground.requireTerminal();
  using initFd = openProcess(init);
  if (initFd === undefined) throw new TsrunError('status', 'cannot exec in a stopped container');
  const host = readHostFacts();
  const seccomp = await compileSeccomp(config, process, host, { runtime, isCached: true });
  const plan = planFor({ record, config: { ...config, process }, init, options, host, seccomp });
  for (const warning of plan.warnings) runtime.log.warning(warning);
  const cleanup = new Cleanup(runtime.log);
  const state = stateOf(record, 'running');
  const onListener = (pid: number, number: number): Promise<void> => handOverListener({ pid, state, seccomp }, number);
  try {
    const { conversation, results } = await join(
      { directory: directory.path, init, initFd, plan, options, cleanup, uid: process.user?.uid ?? 0, onListener },
      (master) => {
        if (consoleSocket === undefined) foreground.takeConsole(master);
        else sendConsole(master, consoleSocket);
      },
    );
    using pidfd = pidfdOpen(results.pid);
    if (options.pidFile !== undefined) writePidFile(options.pidFile, results.pid);
    await becomeProgram(conversation, {
      descriptors: plan.descriptors,
      program: { process, executable: results.executable, home: results.home },
      seccomp,
      pid: results.pid,
      state,
    });
    conversation.close();
    if (detach) return 0;
    return exitCode(await foreground.supervise(pidfd, () => waitForChild(results.pid, pidfd)));
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

function requireRunning(directory: StateDirectory, record: ContainerRecord, options: ExecOptions): ProcessIdentity {
  const status = currentStatus(directory, record);
  if (status === 'stopped' || status === 'creating' || record.init === undefined) {
    throw new TsrunError('status', 'cannot exec in a stopped container');
  }
  if (status === 'paused' && !options.ignorePaused) {
    throw new TsrunError('status', 'cannot exec in a paused container (use --ignore-paused to override)');
  }
  return record.init;
}

interface ExecTarget {
  readonly record: ContainerRecord;
  readonly config: Config;
  readonly init: ProcessIdentity;
  readonly options: ExecOptions;
  readonly host: HostFacts;
  readonly seccomp: CompiledSeccomp | undefined;
}

/** File name below /proc/PID/ns -> type in config.json. */
const NAMESPACE_TYPES: Readonly<Record<string, keyof typeof NAMESPACE_FLAGS>> = {
  user: 'user',
  pid: 'pid',
  mnt: 'mount',
  net: 'network',
  uts: 'uts',
  ipc: 'ipc',
  cgroup: 'cgroup',
  time: 'time',
};

function planFor({ record, config, init, options, host, seccomp }: ExecTarget): ExecPlan {
  const theirs = readNamespaces(init.pid);
  const differing = Object.entries(NAMESPACE_TYPES).flatMap(([file, type]) =>
    theirs[file] !== undefined && theirs[file] !== host.namespaces[file] ? [type] : [],
  );
  return planExec({
    id: record.id,
    config,
    host,
    bundle: {
      bundle: record.bundle,
      rootfs: record.rootfs,
      rootfsMountPoint: '/',
      sources: {},
      danglingLinks: {},
      namespaces: {},
    },
    options: { noPivot: false, noNewKeyring: false, preserveFds: options.preserveFds },
    process: config.process ?? { cwd: '/' },
    differing,
    cgroup: record.cgroup.directories,
    changeRoot: record.isChrooted,
    ...(seccomp === undefined ? {} : { seccomp }),
  });
}

interface Joining {
  /** The container's state directory. */
  readonly directory: string;
  readonly init: ProcessIdentity;
  readonly initFd: OwnedFd;
  readonly plan: ExecPlan;
  readonly options: ExecOptions;
  readonly cleanup: Cleanup;
  readonly uid: number;
  readonly onListener: (pid: number, number: number) => Promise<void>;
}

async function join(joining: Joining, onConsole: (master: OwnedFd) => void): Promise<BroughtUp> {
  const { init, initFd, plan, options, cleanup } = joining;
  const { descriptors } = plan;
  let pid = 0;
  using root = openFile(`/proc/${init.pid}/root`, O_PATH | O_DIRECTORY);
  const inherited = new Map<number, number>(options.stdio.entries());
  for (let number = 3; number < descriptors.sync; number++) inherited.set(number, number);
  inherited.set(descriptors.pidfd, initFd.number);
  inherited.set(descriptors.root, root.number);
  return await bringUp({
    arch: readArch(),
    syncFd: descriptors.sync,
    descriptors: inherited,
    fallbackDirectory: joining.directory,
    phases: plan.phases,
    idMaps: undefined,
    rlimits: plan.rlimits,
    uid: joining.uid,
    candidates: plan.candidates,
    cleanup,
    onSpawned: () => undefined,
    onPid: (found) => {
      pid = found;
    },
    onConsole,
    onRootfs: () => Promise.resolve(),
    onListener: (number) => joining.onListener(pid, number),
  });
}
