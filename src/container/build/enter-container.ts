import { readOomKills } from '../../cgroup/oom.ts';
import type { Integer } from '../../plan/cgroup/values.ts';
import { neededHandles } from '../../plan/choose-exec.ts';
import { Conversation } from '../../process/conversation.ts';
import type { Partner } from '../../process/partner.ts';
import { spawnInit } from '../../process/spawned.ts';
import { unreachable } from '../../util/unreachable.ts';
import { wording } from '../../util/wording.ts';
import type { Runtime } from '../caller/caller.ts';
import { handOverConsole } from '../caller/console.ts';
import type { ExecOptions } from '../store/options.ts';
import { handOverListener, stateOf } from './become-program.ts';
import { bringUp, readExecutable, readHome } from './bring-up.ts';
import type { Cleanup } from './cleanup.ts';
import { explainDeath } from '../failures/explain-death.ts';
import { openInitRoot } from './look-into.ts';
import { requireStillRunning, type PreparedExec } from './prepare-exec.ts';
import { applyRlimits } from './rlimits.ts';
import { wrongStatus } from '../store/ids.ts';

/** A process in a container that is ready to become the program. */
export interface EnteredContainer {
  readonly partner: Partner;
  readonly conversation: Conversation;
  readonly executable: string;
  readonly home: string;
  /** How often the kernel had killed a process of the container for want of memory before. */
  readonly oomKills: Integer;
}

/**
 * From a plan to a process that is in the container. The cleanup ends it. Errors: `status`, `step`, `program`, `cgroup`, `host`; `init`
 * with the way it ended when it died.
 */
export async function enterContainer(
  runtime: Runtime,
  prepared: PreparedExec,
  options: ExecOptions,
  cleanup: Cleanup,
): Promise<EnteredContainer> {
  const { record, plan, host, foreground } = prepared;
  const oomKills = readOomKills(record.cgroup);
  const syncFd = plan.descriptors.sync;
  const { tracer } = runtime;
  tracer?.phase('start init');
  const { partner, given } = await spawnEntering(runtime, prepared, options);
  cleanup.add('end the init process', () => {
    partner.socket.close();
    return partner.end();
  });
  if (options.hold !== undefined) {
    await options.hold(partner.pid);
    requireStillRunning(prepared, options);
  }
  const conversation = new Conversation(partner.socket, { arch: host.arch, syncFd, tracer });
  cleanup.add('end the conversation', () => {
    conversation.close();
  });
  foreground?.closeLent();
  try {
    if (tracer !== undefined) await conversation.run(tracer.planFirst(given, syncFd));
    return { partner, conversation, oomKills, ...(await setUp(prepared, options, { partner, conversation })) };
  } catch (error) {
    const explained = await explainDeath(error, partner, () => readOomKills(record.cgroup) > oomKills);
    // Nothing that has gone well needs it.
    const { explainExec } = await import('../failures/explain-failure.ts');
    throw explainExec(explained, {
      config: prepared.saved,
      process: prepared.process,
      cwdIsGiven: isCwdGiven(options),
      rootfs: record.rootfs,
      bundle: record.bundle,
      identity: prepared.host.identity,
    });
  }
}

/** The parent's part of the conversation. */
async function setUp(
  { record, process, plan, cgroup, seccomp, foreground }: PreparedExec,
  { consoleSocket, takeConsole }: ExecOptions,
  { partner, conversation }: Pick<EnteredContainer, 'partner' | 'conversation'>,
): Promise<Pick<EnteredContainer, 'executable' | 'home'>> {
  let executable = '';
  let home = '/';
  for await (const reply of bringUp(plan.phases, conversation)) {
    switch (reply.exchange) {
      case 'cgroup':
        await cgroup.attach(partner.pid);
        break;
      case 'pid':
        partner.becomes(reply.pid);
        applyRlimits(partner.pid, plan.rlimits);
        break;
      case 'console':
        await handOverConsole(reply.master, {
          process,
          ...(consoleSocket && { consoleSocket }),
          ...(takeConsole && { takeConsole }),
          ...(foreground && { foreground }),
        });
        break;
      case 'passwd':
        home = readHome(reply, process.user?.uid ?? 0);
        break;
      case 'seccomp':
        await handOverListener({ pid: partner.pid, state: stateOf(record, 'running'), seccomp }, reply.listener);
        break;
      case 'ready':
        executable = readExecutable(reply, plan.candidates);
        break;
      default:
        unreachable(reply);
    }
  }
  return { executable, home };
}

/** Starts an init with what it needs of the container. Errors: `status` when the container has ended; `host`. */
async function spawnEntering(
  { caller, tracer }: Runtime,
  { directory, init, view, host, plan, process, foreground }: PreparedExec,
  { stdio, preserved }: ExecOptions,
): Promise<{ readonly partner: Partner; readonly given: ReadonlyMap<number, number> }> {
  const { descriptors } = plan;
  using opened = view.root === undefined ? openInitRoot(init) : undefined;
  const root = view.root ?? opened;
  if (root === undefined || !init.isAlive()) throw wrongStatus(directory.id, wording.execStopped);
  const lent = foreground?.lend(process) ?? stdio;
  const callers = new Map<number, number>([...lent, ...preserved].entries());
  const own = new Map([
    [descriptors.pidfd, init.pidfd.number],
    [descriptors.root, root.number],
  ]);
  const { inodes, handles } = view;
  const needed = neededHandles({ inodes, host, handed: handles && [...handles.keys()] }) ?? [];
  needed.forEach((file, index) => {
    const handle = handles?.get(file);
    if (handle !== undefined) own.set(descriptors.idmaps + index, handle.number);
  });
  const spawn = caller.spawnInit ?? spawnInit;
  const syncFd = descriptors.sync;
  const given = tracer?.lend(own, [syncFd, ...callers.keys()]) ?? own;
  const known = { arch: host.arch, syncFd, callers, descriptors: given };
  return { partner: await spawn({ ...known, fallbackDirectory: directory.file() }), given };
}

function isCwdGiven({ change }: ExecOptions): boolean {
  return change.kind !== 'document' && change.cwd !== undefined;
}
