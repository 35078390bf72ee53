import { joinCgroup } from '../../cgroup/join.ts';
import type { Notification } from '../../criu/conversation.ts';
import { TsrunError } from '../../errors.ts';
import { namespaceFiles, planRestore } from '../../plan/checkpoint/restore.ts';
import type { Partner } from '../../process/partner.ts';
import { openFile } from '../../sys/file.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { O_RDONLY } from '../../util/constants.ts';
import { Attempt } from '../build/attempt.ts';
import { makeGroups, type Groups } from '../build/groups.ts';
import { openBundle, planFor, type PreparedContainer } from '../build/prepare-container.ts';
import type { Runtime } from '../caller/caller.ts';
import { handOverConsole, requireConsole } from '../caller/console.ts';
import type { Foreground } from '../caller/foreground.ts';
import { hostFactsOf } from '../caller/host.ts';
import { runPoststop } from '../hooks/poststop.ts';
import { runHooks } from '../hooks/runtime.ts';
import { hookState } from '../hooks/state.ts';
import type { RestoreOptions } from '../store/options.ts';
import { identifyProcess } from '../store/process-identity.ts';
import {
  makeDirectory,
  openDirectory,
  readDescriptors,
  requirePlainFiles,
  requirePlainLogs,
  type CriuDirectory,
} from './image-directory.ts';
import { makeMountPoints } from './mount-points.ts';
import { readCgroupRoots, restoreFacts } from './restore-facts.ts';
import { makeRestoreRoot, mountRestoreRoot, removeRestoreRoot } from './restore-root.ts';
import { requireFeatures, runCriu, startCriu, type CriuSession } from './session.ts';

/** A container whose program goes on. Who cannot finish it undoes the attempt. */
export interface RestoredContainer {
  readonly attempt: Attempt;
  /** The program. */
  readonly partner: Partner;
}

/**
 * From an image to a program that goes on, all but telling of it. A failure at any point leaves nothing behind. Errors: those of creating
 * a container; `host` without CRIU, `criu`.
 */
export async function buildRestored(
  runtime: Runtime,
  options: RestoreOptions,
  foreground: Foreground,
): Promise<RestoredContainer> {
  const whole = { ...options, noNewKeyring: true, preserved: [] };
  const opened = await openBundle(runtime, whole);
  const { directory, bundle } = opened;
  const { config } = bundle;
  if (bundle.overlay !== undefined)
    throw new TsrunError('unsupported', 'restore a container with a layer over its rootfs: none is saved');
  const { consoleSocket, takeConsole, detach } = options;
  const terminal = config.process?.terminal === true;
  requireConsole({ terminal, detached: detach, consoleSocket, isTaken: takeConsole !== undefined });
  if (terminal && !detach) foreground.requireTerminal();
  using images = openDirectory(options.imagePath);
  using other = options.workPath === undefined ? undefined : makeDirectory(options.workPath);
  requirePlainFiles(images);
  if (other !== undefined) requirePlainLogs(other);
  const descriptors = readDescriptors(images);
  const host = hostFactsOf(runtime.caller);
  const material = { bundle, host, seccomp: undefined };
  const plan = planFor(runtime, whole, material);
  for (const warning of plan.warnings) runtime.log.warning(warning);
  const prepared = { ...opened, ...material, plan, options: { ...whole, listens: false } };
  const ended = { id: directory.id, bundle: bundle.facts.bundle, annotations: config.annotations };
  const poststop = (): Promise<void> => runPoststop(ended, config, runtime);
  const attempt = await Attempt.begin(directory, { log: runtime.log, poststop });
  try {
    directory.writeConfig(bundle.text);
    const groups = makeGroups(runtime, attempt, prepared);
    await makeMountPoints(runtime, opened, host);
    const ours = { prepared, attempt, foreground, groups, images, work: other ?? images, descriptors };
    return { attempt, partner: await restore(runtime, ours, options) };
  } catch (error) {
    await attempt.undo();
    throw error;
  }
}

interface Restoring {
  readonly prepared: PreparedContainer;
  readonly attempt: Attempt;
  readonly foreground: Foreground;
  readonly groups: Groups;
  readonly images: CriuDirectory;
  readonly work: CriuDirectory;
  readonly descriptors: readonly string[];
}

async function restore(runtime: Runtime, restoring: Restoring, options: RestoreOptions): Promise<Partner> {
  const { prepared, attempt, foreground, groups, images, work, descriptors } = restoring;
  const { bundle, directory } = prepared;
  const { config, facts } = bundle;
  const cover = makeRestoreRoot(directory);
  attempt.remember({ rootfsCover: cover });
  mountRestoreRoot(cover, facts.rootfs);
  const uncover = (): void => {
    removeRestoreRoot(cover, { directory, caller: runtime.caller });
  };
  attempt.undoWith('unmount the rootfs', uncover);
  const session = await start(runtime, restoring, options);
  const request = planRestore({
    config,
    settings: options,
    facts: restoreFacts({ bundle, cgroup: groups.cgroup.reference, root: cover.rootfs, descriptors }),
    version: session.version,
  });
  await requireFeatures(session, request);
  const answer = await runCriu(runtime, session, {
    action: `restore container ${JSON.stringify(options.id)}`,
    request,
    opts: {
      ...request.options,
      imagesDirFd: images.handle.number,
      workDirFd: work.handle.number,
      cgRoot: readCgroupRoots(session.partner.pid),
    },
    work,
    onNotification: (notification) => takeNote(runtime, { attempt, prepared, foreground, options }, notification),
  });
  await becomeProgram(session, answer.restore?.pid ?? 0);
  uncover();
  attempt.forget('rootfsCover');
  return session.partner;
}

/** Starts CRIU with what the program is to have, and puts it where the program is to be. */
async function start(
  runtime: Runtime,
  { prepared: { bundle, plan }, attempt, foreground, groups }: Restoring,
  options: RestoreOptions,
): Promise<CriuSession> {
  const lent = options.detach ? options.stdio : foreground.lend(bundle.config.process);
  const opened: OwnedFd[] = [];
  try {
    const inherited = new Map<number, number>(lent.entries());
    for (const [number, hostPath] of namespaceFiles(bundle.config)) {
      const file = openFile(hostPath, O_RDONLY);
      opened.push(file);
      inherited.set(number, file.number);
    }
    const session = await startCriu(runtime, inherited);
    const { partner } = session;
    attempt.undoWith('end CRIU, or the program', () => partner.end());
    foreground.closeLent();
    const { cgroup, resctrl } = groups;
    await cgroup.attach(partner.pid, plan.cgroup);
    attempt.learn({ cgroup: cgroup.reference });
    joinCgroup(cgroup.reference, partner.pid);
    await cgroup.applyLimits(plan.cgroup, plan.cgroup.scope?.limits);
    cgroup.applyDevices(plan.cgroup);
    resctrl?.join(partner.pid);
    return session;
  } finally {
    for (const file of opened) file.close();
  }
}

interface Noting {
  readonly attempt: Attempt;
  readonly prepared: PreparedContainer;
  readonly foreground: Foreground;
  readonly options: RestoreOptions;
}

async function takeNote(
  runtime: Runtime,
  { attempt, prepared: { bundle }, foreground, options }: Noting,
  { script, pid, descriptor }: Notification,
): Promise<void> {
  const { config, facts } = bundle;
  switch (script) {
    case 'setup-namespaces': {
      attempt.environmentExists();
      const state = { ...hookState(attempt.record, 'created'), pid };
      const surroundings = { directory: facts.bundle, runtime };
      await runHooks('prestart', config.hooks?.prestart, state, surroundings);
      await runHooks('createRuntime', config.hooks?.createRuntime, state, surroundings);
      break;
    }
    case 'post-restore': {
      const init = identifyProcess(pid);
      attempt.remember(init === undefined ? {} : { init });
      break;
    }
    case 'orphan-pts-master':
      if (descriptor !== undefined)
        await handOverConsole(descriptor, { ...options, foreground, process: config.process });
      break;
    default:
      // Of the others CRIU wants nothing but that they are taken note of.
      break;
  }
}

/** CRIU has said its last word and ends; what it has restored is a child of this process, too. */
async function becomeProgram({ partner }: CriuSession, pid: number): Promise<void> {
  partner.socket.close();
  const status = await partner.howItEnded();
  if (pid === 0 || (status?.kind === 'exited' && status.code !== 0) || status?.kind === 'killed')
    throw new TsrunError('criu', `restore a container: CRIU ended with ${JSON.stringify(status)}`);
  partner.becomes(pid);
}
