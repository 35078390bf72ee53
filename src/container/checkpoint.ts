import { statSync } from 'node:fs';
import path from 'node:path';
import { openCgroup } from '../cgroup/select.ts';
import { TsrunError } from '../errors.ts';
import { planDump } from '../plan/checkpoint/dump.ts';
import { groupOfRoot } from '../plan/checkpoint/external.ts';
import { canDo } from '../plan/checkpoint/versions.ts';
import { takePart } from '../process/turns.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { isOpenFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { writeFully } from '../sys/io.ts';
import { O_RDWR } from '../util/constants.ts';
import { wording } from '../util/wording.ts';
import { destroyContainer } from './build/destroy.ts';
import type { Runtime } from './caller/caller.ts';
import { readDumpFacts, type Dumped } from './criu/dump-facts.ts';
import {
  makeDirectory,
  requirePlainFiles,
  requirePlainLogs,
  writeDescriptors,
  type CriuDirectory,
} from './criu/image-directory.ts';
import { requireFeatures, runCriu, startCriu, type CriuSession } from './criu/session.ts';
import { StateDirectory } from './store/directory.ts';
import type { CheckpointOptions } from './store/options.ts';
import { openProcess } from './store/process-identity.ts';
import { readSavedConfig } from './store/saved-config.ts';
import { currentStatus } from './store/status.ts';
import { wrongStatus } from './store/ids.ts';

/**
 * Saves a container to a directory by CRIU. The container is gone afterwards, unless with `leaveRunning` or `preDump`; when it fails, the
 * container goes on.
 *
 * CRIU is not interrupted while it is at work in the container's processes. Errors: `not-found`; `status` unless the container is running
 * or paused; `host` without CRIU, `unsupported` for one that is too old; `criu`.
 */
export async function checkpointContainer(runtime: Runtime, options: CheckpointOptions): Promise<void> {
  using _part = takePart();
  using directory = new StateDirectory(runtime.root, options.id);
  directory.readRecord();
  using _lock = await directory.lock();
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  if (record.init === undefined || (status !== 'running' && status !== 'paused'))
    throw wrongStatus(options.id, wording.checkpointStatus(status));
  if (record.layer !== undefined) throw new TsrunError('unsupported', NO_LAYER);
  using pidfd = openProcess(record.init);
  if (pidfd === undefined) throw wrongStatus(options.id, wording.notRunning);
  const config = readSavedConfig(directory, runtime.caller.loadConfig);
  const dumped = { record, config, pid: record.init.pid, isPaused: status === 'paused' };
  await uninterrupted(async () => {
    try {
      await save(runtime, dumped, options);
    } catch (error) {
      // A CRIU that was killed leaves it stopped.
      if (status === 'running') await openCgroup(record.cgroup).thaw();
      throw error;
    }
    if (options.leaveRunning === true || options.preDump === true) return;
    await destroyContainer(directory, record, { kill: true, runtime });
  });
}

const NO_LAYER = 'checkpoint a container with a layer over its rootfs: the image would lack what it has changed';

async function save(runtime: Runtime, dumped: Dumped, options: CheckpointOptions): Promise<void> {
  requireStatusFd(options.statusFd);
  using images = makeDirectory(options.imagePath, groupOfRoot(dumped.config));
  using other = options.workPath === undefined ? undefined : makeDirectory(options.workPath);
  requirePlainFiles(images);
  if (other !== undefined) requirePlainLogs(other);
  if (options.parentPath !== undefined) requireParent(images, options.parentPath);
  using nothing = openFile('/dev/null', O_RDWR);
  const stdio = new Map([0, 1, 2].map((fd) => [fd, nothing.number]));
  const session = await startCriu(runtime, stdio);
  try {
    await dump(runtime, { session, images, work: other ?? images }, dumped, options);
  } finally {
    session.partner.socket.close();
    await endOf(session);
  }
}

interface Dumping {
  readonly session: CriuSession;
  readonly images: CriuDirectory;
  readonly work: CriuDirectory;
}

async function dump(
  runtime: Runtime,
  { session, images, work }: Dumping,
  dumped: Dumped,
  options: CheckpointOptions,
): Promise<void> {
  const facts = readDumpFacts(dumped);
  const request = planDump({ config: dumped.config, options, facts, version: session.version });
  await requireFeatures(session, request);
  if (request.kind === 'dump') writeDescriptors(images, facts.descriptors);
  const { statusFd } = options;
  const tellsByItself = statusFd !== undefined && !canDo(session.version, 'status-ready');
  await runCriu(runtime, session, {
    action: `checkpoint container ${JSON.stringify(options.id)}`,
    request,
    opts: {
      ...request.options,
      imagesDirFd: images.handle.number,
      workDirFd: work.handle.number,
      ...(tellsByItself && { statusFd }),
    },
    work,
    onNotification: ({ script }) => {
      if (script === 'status-ready' && statusFd !== undefined) writeFully(statusFd, Uint8Array.of(0));
      return Promise.resolve();
    },
  });
}

/** CRIU ends by itself at the end of the connection; after a memory dump it would wait for the next. */
const END_MS = 2000;

async function endOf({ partner }: CriuSession): Promise<void> {
  if ((await partner.howItEnded(END_MS)) === undefined) await partner.end();
}

function requireParent({ path: images }: CriuDirectory, parentPath: string): void {
  const parent = path.join(images, parentPath);
  if (statSync(parent, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const shown = JSON.stringify(parent);
  throw new TsrunError('usage', `--parent-path leads to ${shown}, wanted a directory with an earlier image`);
}

function requireStatusFd(statusFd: number | undefined): void {
  if (statusFd === undefined || isOpenFd(statusFd)) return;
  throw new TsrunError('usage', `use descriptor ${statusFd} for the status: it is not open`);
}
