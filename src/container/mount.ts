import { statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { SourceKind } from '../plan/base/facts.ts';
import { planMountChange, type MountChange, type MountChangePlan } from '../plan/change-mounts.ts';
import { Conversation } from '../process/conversation.ts';
import { spawnInit } from '../process/spawned.ts';
import { isBindMount } from '../spec/bind-mount.ts';
import type { Mount } from '../spec/generated/config.ts';
import { openFile } from '../sys/file.ts';
import { O_RDONLY } from '../util/constants.ts';
import { wording } from '../util/wording.ts';
import { lookInto, openInitRoot, type InitView } from './build/look-into.ts';
import type { Runtime } from './caller/caller.ts';
import { hostFactsOf } from './caller/host.ts';
import { StateDirectory } from './store/directory.ts';
import type { AddMountOptions, RemoveMountOptions } from './store/options.ts';
import { openProcessHandle, type ProcessHandle } from './store/process-handle.ts';
import { readSavedConfig } from './store/saved-config.ts';
import { currentStatus } from './store/status.ts';

/**
 * Mounts something in a container that is there: a file or directory of the host, or a tmpfs. What is missing of the target is made.
 *
 * Errors: `not-found`; `status` when it has ended; `bundle` without a source; `usage`, `unsupported`, `step`, `host`.
 */
export async function addMount(runtime: Runtime, { id, mount }: AddMountOptions): Promise<void> {
  const source = isBindMount(mount) ? sourceOf(mount) : 'missing';
  await changeMounts(runtime, id, { kind: 'add', mount, source });
}

/** Takes the topmost mount at a place in a container away. What uses it goes on to. Errors: those of `addMount`; `step` where nothing is mounted. */
export async function removeMount(runtime: Runtime, { id, target }: RemoveMountOptions): Promise<void> {
  await changeMounts(runtime, id, { kind: 'remove', target });
}

function sourceOf({ source = '' }: Mount): SourceKind {
  try {
    return statSync(source).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    throw TsrunError.of('bundle', `open source ${JSON.stringify(source)}`, error);
  }
}

async function changeMounts(runtime: Runtime, id: string, change: MountChange): Promise<void> {
  using directory = new StateDirectory(runtime.root, id);
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  const isThere = status !== 'stopped' && status !== 'creating' && record.init !== undefined;
  using init = isThere ? openProcessHandle(record.init) : undefined;
  if (init === undefined) throw new TsrunError('status', wording.notRunning);
  const config = readSavedConfig(directory, runtime.caller.loadConfig);
  const host = hostFactsOf(runtime.caller);
  using view = await lookInto(init, { directory, record, host });
  const { rootfs, isChrooted } = record;
  const handed = view.handles && [...view.handles.keys()];
  const known = { id, config, host, rootfs, isChrooted, inodes: view.inodes, handed };
  try {
    await execute(planMountChange({ ...known, change }), { init, view, directory, arch: host.arch });
  } catch (error) {
    throw withoutPointer(error);
  }
}

interface Where {
  readonly init: ProcessHandle;
  readonly view: InitView;
  readonly directory: StateDirectory;
  readonly arch: Parameters<typeof spawnInit>[0]['arch'];
}

/** In a process of its own, which is gone afterwards. */
async function execute(
  { descriptors, handles, phase }: MountChangePlan,
  { init, view, directory, arch }: Where,
): Promise<void> {
  using opened = view.root === undefined ? openInitRoot(init) : undefined;
  using nothing = openFile('/dev/null', O_RDONLY);
  const root = view.root ?? opened;
  if (root === undefined || !init.isAlive()) throw new TsrunError('status', wording.notRunning);
  const own = new Map([
    [descriptors.pidfd, init.pidfd.number],
    [descriptors.root, root.number],
  ]);
  handles.forEach((file, index) => {
    const handle = view.handles?.get(file);
    if (handle !== undefined) own.set(descriptors.idmaps + index, handle.number);
  });
  const syncFd = descriptors.sync;
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  const partner = spawnInit({ arch, syncFd, callers, descriptors: own, fallbackDirectory: directory.file() });
  const conversation = new Conversation(partner.socket, { arch, syncFd });
  try {
    await conversation.run(phase.program);
  } finally {
    conversation.close();
    await partner.end();
  }
}

/** The mount is none of config.json. */
function withoutPointer(error: unknown): unknown {
  if (!(error instanceof TsrunError) || error.pointer === undefined) return error;
  const { code, text, cause, step, errno } = error;
  return new TsrunError(code, text, { cause, ...(step && { step }), ...(errno !== undefined && { errno }) });
}
