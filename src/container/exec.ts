import type { CgroupReference } from '../cgroup/manager.ts';
import { openCgroup } from '../cgroup/select.ts';
import { readOomKills } from '../cgroup/oom.ts';
import { TsrunError } from '../errors.ts';
import { readUnifiedDirectory } from '../host/cgroup-layout.ts';
import { readArch, readHostFacts } from '../host/facts.ts';
import { planSubCgroups, type ContainerCgroup } from '../plan/cgroup/sub-cgroup.ts';
import { planExec, type ExecPlan } from '../plan/exec.ts';
import { differingNamespaces } from '../plan/namespaces/exec-namespaces.ts';
import type { HostFacts } from '../plan/base/facts.ts';
import { HANDED_NAMESPACES, type NamespaceFile } from '../plan/namespaces/hand-out.ts';
import type { CompiledSeccomp } from '../plan/seccomp/load.ts';
import { requirePassableFilter } from '../plan/seccomp/refusals.ts';
import { serviceEnvironment } from '../plan/service-manager.ts';
import type { Reply } from '../process/conversation.ts';
import type { Config } from '../spec/generated/config.ts';
import { hasErrno } from '../sys/errno.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { pidfdOpen } from '../sys/pidfd.ts';
import { exitCode } from '../sys/wait.ts';
import { O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { bringUp, type BroughtUp } from './build/bring-up.ts';
import { Cleanup } from './build/cleanup.ts';
import { requireConsole, sendConsole } from './caller/console.ts';
import { execProcess } from './build/exec-process.ts';
import { Foreground } from './caller/foreground.ts';
import { lookInto, type InitView } from './build/look-into.ts';
import { writePidFile } from './caller/pid-file.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import { openProcessHandle, type ProcessHandle } from './store/process-handle.ts';
import { innermostPid, type ProcessIdentity } from './store/process-identity.ts';
import { waitForChild } from './run.ts';
import type { Caller, Runtime } from './caller/caller.ts';
import type { ExecOptions, Stdio } from './store/options.ts';
import { becomeProgram, compileSeccomp, handOverListener, stateOf } from './build/become-program.ts';
import { readSavedConfig } from './store/saved-config.ts';
import { StateDirectory } from './store/directory.ts';
import type { ContainerRecord } from './store/record.ts';
import { currentStatus } from './store/status.ts';
import { words } from '../util/words.ts';

/**
 * Runs a further process in a container.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: `not-found`, `status`, `config` for the process,
 * `program`, `step`, `cgroup`, `host`.
 */
export async function execInContainer(runtime: Runtime, options: ExecOptions): Promise<number> {
  return await execPlanned(runtime, options, planFor);
}

/** The same with another planner: a test passes one whose steps fail. */
export async function execPlanned(runtime: Runtime, options: ExecOptions, decide: typeof planFor): Promise<number> {
  using directory = new StateDirectory(runtime.root, options.id);
  const record = directory.readRecord();
  const identity = requireRunning(directory, record, options);
  const config = readSavedConfig(directory);
  const process = execProcess(config, options.change);
  const terminal = process.terminal === true;
  const { consoleSocket, detach } = options;
  requireConsole({ terminal, detached: detach, consoleSocket });
  using foreground = new Foreground(runtime.caller, options);
  if (terminal && !detach) foreground.requireTerminal();
  using init = openProcessHandle(identity);
  if (init === undefined) throw new TsrunError('status', words.execStopped);
  const host = readHostFacts(runtime.caller.proc);
  using view = await lookInto(init, { directory, record, host });
  const seen = { init, view, host };
  const seccomp = await compileSeccomp(config, process, host, { runtime, isCached: true });
  requirePassableFilter(seccomp, { waits: false });
  const plan = decide({
    record,
    config: { ...config, process },
    ...seen,
    options,
    seccomp,
    caller: runtime.caller,
  });
  for (const warning of plan.warnings) runtime.log.warning(warning);
  const cleanup = new Cleanup(runtime.log);
  const state = stateOf(record, 'running');
  const onListener = (pid: number, reply: Reply): Promise<void> => handOverListener({ pid, state, seccomp }, reply);
  try {
    const { conversation, results } = await join(
      {
        directory: directory.file(),
        cgroup: record.cgroup,
        ...seen,
        plan,
        cleanup,
        uid: process.user?.uid ?? 0,
        onListener,
        preserved: options.preserved,
        stdio: detach ? options.stdio : foreground.lend(process),
        onSpawned: () => {
          foreground.closeLent();
        },
      },
      (master) => {
        if (consoleSocket === undefined) foreground.takeConsole(master, process);
        else sendConsole(master, consoleSocket);
      },
    );
    using pidfd = pidfdOpen(results.pid);
    sendPidfd(options.pidfdSocket, { pid: results.pid, kind: 'setns' });
    if (options.pidFile !== undefined) writePidFile(options.pidFile, results.pid, runtime.caller);
    const { executable, home, pid } = results;
    const environment = serviceEnvironment({
      listenFds: options.listenFds ?? 0,
      pid: innermostPid(pid),
      notifies: false,
    });
    const program = { process, executable, home, environment };
    const become = (): Promise<void> =>
      becomeProgram(conversation, { descriptors: plan.descriptors, program, seccomp, pid, state });
    await (detach ? become() : foreground.catchSignals(pidfd, become));
    conversation.close();
    if (detach) return 0;
    return exitCode(await foreground.supervise(pidfd, () => waitForChild(pid, pidfd)));
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

function requireRunning(directory: StateDirectory, record: ContainerRecord, options: ExecOptions): ProcessIdentity {
  const status = currentStatus(directory, record);
  if (status === 'stopped' || status === 'creating' || record.init === undefined) {
    throw new TsrunError('status', words.execStopped);
  }
  if (status === 'paused' && !options.ignorePaused) {
    throw new TsrunError('status', words.execPaused);
  }
  return record.init;
}

interface ExecTarget {
  readonly record: ContainerRecord;
  readonly config: Config;
  readonly init: ProcessHandle;
  readonly view: InitView;
  readonly options: ExecOptions;
  readonly host: HostFacts;
  readonly seccomp: CompiledSeccomp | undefined;
  readonly caller: Pick<Caller, 'openFiles' | 'proc'>;
}

/** Decides everything. Errors: `config`, `unsupported`. */
export function planFor({ record, config, init, view, options, host, seccomp, caller }: ExecTarget): ExecPlan {
  const { openFiles } = caller;
  const handles = neededHandles(view, host);
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
    options: {
      noPivot: false,
      noNewKeyring: false,
      preserveFds: options.preserved.length,
      lendsStdio: !options.detach,
      ...(openFiles && { openFiles }),
    },
    process: config.process ?? { cwd: '/' },
    differing: differingNamespaces(view.inodes, host.namespaces),
    ...(handles && { handles: handles.map(([file]) => HANDED_NAMESPACES[file]) }),
    cgroup:
      isUserUnit(record) && options.subCgroups === undefined
        ? []
        : planSubCgroups(withFallback(record, init, caller), options.subCgroups ?? []),
    attachesToUnit: isUserUnit(record),
    changeRoot: record.isChrooted,
    ...(seccomp === undefined ? {} : { seccomp }),
  });
}

/** The handles of namespaces that have to be joined, where init was asked for them. */
function neededHandles(
  { inodes, handles }: InitView,
  { namespaces }: HostFacts,
): [NamespaceFile, OwnedFd][] | undefined {
  return handles && [...handles].filter(([file]) => inodes[file] !== namespaces[file]);
}

/** An ordinary user may not move a process from a session into a unit; the user's systemd may. */
function isUserUnit({ cgroup }: ContainerRecord): boolean {
  return cgroup.unit?.bus === 'user';
}

/**
 * The container's cgroups. Its init may have moved to one below and have handed on the controllers: no process can join the
 * container's cgroup2 directory then, and the one of init stands in.
 */
function withFallback(
  { cgroup }: ContainerRecord,
  init: ProcessHandle,
  { proc }: Pick<Caller, 'proc'>,
): ContainerCgroup[] {
  return cgroup.directories.map((directory) => {
    if (directory.kind === 'v1') return directory;
    const own = readUnifiedDirectory(init.path, proc);
    // Only below: init may be in the cgroup of somebody else, who moved it there.
    return own?.startsWith(`${directory.hostPath}/`) === true ? { ...directory, fallback: own } : directory;
  });
}

interface Joining {
  /** The container's state directory. */
  readonly directory: string;
  readonly cgroup: CgroupReference;
  readonly init: ProcessHandle;
  readonly view: InitView;
  readonly host: HostFacts;
  readonly plan: ExecPlan;
  readonly cleanup: Cleanup;
  readonly uid: number;
  readonly onListener: (pid: number, reply: Reply) => Promise<void>;
  /** Descriptors of the program. */
  readonly stdio: Stdio;
  readonly preserved: readonly number[];
  readonly onSpawned: () => void;
}

async function join(joining: Joining, onConsole: (master: OwnedFd) => void): Promise<BroughtUp> {
  const oomKills = readOomKills(joining.cgroup);
  const { init, view, host, plan, cleanup } = joining;
  const { descriptors } = plan;
  let pid = 0;
  using opened = view.root === undefined ? openRoot(init) : undefined;
  const root = view.root ?? opened;
  if (root === undefined || !init.isAlive()) throw new TsrunError('status', words.execStopped);
  const inherited = new Map<number, number>(joining.stdio.entries());
  joining.preserved.forEach((fd, index) => inherited.set(3 + index, fd));
  inherited.set(descriptors.pidfd, init.pidfd.number);
  inherited.set(descriptors.root, root.number);
  (neededHandles(view, host) ?? []).forEach(([, handle], index) => {
    inherited.set(descriptors.idmaps + index, handle.number);
  });
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
    wasOomKilled: () => readOomKills(joining.cgroup) > oomKills,
    onSpawned: joining.onSpawned,
    onCgroup: (pid) => openCgroup(joining.cgroup).attach(pid),
    onPid: (found) => {
      pid = found;
      return Promise.resolve();
    },
    onConsole,
    onNetwork: () => undefined,
    onRootfs: () => Promise.resolve(),
    onListener: (reply) => joining.onListener(pid, reply),
  });
}

/** The root directory of the container's init, the last of what is taken from it: it has to live still. */
function openRoot(init: ProcessHandle): OwnedFd {
  try {
    const root = openFile(`${init.path}/root`, O_PATH | O_DIRECTORY);
    if (init.isAlive()) return root;
    root.close();
    throw new TsrunError('status', words.execStopped);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) throw new TsrunError('status', words.execStopped);
    throw error;
  }
}
