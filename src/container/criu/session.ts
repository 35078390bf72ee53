import { askCriu, type Notification } from '../../criu/conversation.ts';
import type { CriuAnswer, CriuOpts } from '../../criu/messages.ts';
import { spawnCriu } from '../../criu/spawn.ts';
import { TsrunError } from '../../errors.ts';
import { describeCriuFailure, quoteLog } from '../../plan/checkpoint/explain.ts';
import type { CriuRequest } from '../../plan/checkpoint/request.ts';
import { describeVersion, requireVersion, type CriuVersion } from '../../plan/checkpoint/versions.ts';
import type { Partner } from '../../process/partner.ts';
import type { Runtime } from '../caller/caller.ts';
import { readLog, type CriuDirectory } from './image-directory.ts';

/** A CRIU that waits for a request. Who has it ends it. */
export interface CriuSession {
  readonly partner: Partner;
  readonly version: CriuVersion;
}

/** Starts CRIU and asks what it is. Errors: `host` when there is none, `unsupported` when it is too old. */
export async function startCriu(runtime: Runtime, descriptors: ReadonlyMap<number, number>): Promise<CriuSession> {
  const partner = spawnCriu({ searchPath: runtime.caller.environment.PATH, descriptors });
  try {
    const version = await readVersion(partner);
    runtime.log.debug(`use CRIU ${describeVersion(version)}`);
    requireVersion(version, 'rpc');
    return { partner, version };
  } catch (error) {
    partner.socket.close();
    await partner.end();
    throw error;
  }
}

async function readVersion(partner: Partner): Promise<CriuVersion> {
  const answer = await askCriu(partner, 'version', { keepOpen: true }).catch((cause: unknown) => {
    throw TsrunError.of('host', 'ask CRIU for its version (does "criu check" work?)', cause);
  });
  const { major = 0, minor = 0, patch = 0 } = answer.version ?? {};
  return { major, minor, patch };
}

/** Requires that CRIU and the kernel can do what a request needs. Errors: `unsupported`. */
export async function requireFeatures({ partner }: CriuSession, { features }: CriuRequest): Promise<void> {
  if (!features.memTrack && !features.lazyPages) return;
  const { features: found } = await askCriu(partner, 'features', { features, keepOpen: true });
  const missing = [
    ...(features.memTrack && found?.memTrack !== true ? ['memory tracking, which "--pre-dump" needs'] : []),
    ...(features.lazyPages && found?.lazyPages !== true ? ['userfaultfd, which "--lazy-pages" needs'] : []),
  ];
  if (missing.length === 0) return;
  throw new TsrunError('unsupported', `use CRIU: it finds no ${missing.join(', and no ')} on this kernel`);
}

/** What is being done, and where CRIU tells how. */
export interface CriuWork {
  /** Such as `checkpoint container "a"`. */
  readonly action: string;
  readonly request: CriuRequest;
  readonly opts: CriuOpts;
  /** Where the log is. */
  readonly work: CriuDirectory;
  readonly onNotification: (notification: Notification) => Promise<void>;
}

/** Has CRIU work. Errors: `criu` with what its log says; what `onNotification` throws. Effects: lines of the log are warnings. */
export async function runCriu(runtime: Runtime, { partner }: CriuSession, work: CriuWork): Promise<CriuAnswer> {
  const { request, opts, onNotification } = work;
  let failed: unknown;
  const answer = await askCriu(partner, request.kind, {
    opts,
    onNotification: async (notification) => {
      runtime.log.debug(`CRIU: ${notification.script} ${notification.pid}`);
      try {
        await onNotification(notification);
      } catch (error) {
        failed = error;
        throw error;
      }
    },
  }).catch((cause: unknown) => {
    if (cause === failed || !(cause instanceof TsrunError) || cause.code !== 'init') throw cause;
    throw explain(runtime, work, { message: cause.message }, cause);
  });
  if (answer.success) return answer;
  throw explain(runtime, work, answer);
}

function explain(
  { log: logger }: Runtime,
  { action, request, work }: CriuWork,
  { message = '', errno = 0 }: { readonly message?: string; readonly errno?: number },
  cause?: unknown,
): TsrunError {
  const { logFile } = request.options;
  const log = readLog(work, logFile);
  const where = JSON.stringify(`${work.path}/${logFile}`);
  const quoted = quoteLog(log);
  if (quoted.length > 0) logger.warning(`from ${where}:`);
  for (const line of quoted) logger.warning(`  ${line}`);
  const text = describeCriuFailure(action, { message, errno, log });
  return new TsrunError('criu', log === '' ? text : `${text}; its log is ${where}`, { cause });
}
