import { existsSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { cgroupError, isGone, readControlFile, tryReadControlFile, writeControlFile } from './control-file.ts';
import type { CgroupReferenceDirectory } from './cgroup.ts';
import { pause, waitUntil } from './wait.ts';

/** As long as runc waits. */
const FREEZE_TIMEOUT_MS = 10_000;
/** v1: a task that forks or waits in the kernel can keep a group FREEZING; every so many attempts it is let go to get past that. */
const ATTEMPTS_BETWEEN_THAWS = 25;

/**
 * The directory that freezes the container: cgroup2 where there is one, because a process frozen there can still be killed, else
 * the v1 freezer.
 */
export function findFreezer(directories: readonly CgroupReferenceDirectory[]): CgroupReferenceDirectory | undefined {
  const v2 = directories.find(
    ({ kind, hostPath }) => kind === 'v2' && tryReadControlFile(`${hostPath}/cgroup.freeze`) !== undefined,
  );
  // A create that was cut short may have named a directory that it never made.
  return (
    v2 ??
    directories.find(
      (directory) => isV1Freezer(directory) && tryReadControlFile(`${directory.hostPath}/freezer.state`) !== undefined,
    )
  );
}

/** True when a directory of either kind is frozen or about to be, by its own setting or one above it. */
export function isDirectoryFrozen(directory: CgroupReferenceDirectory): boolean {
  if (isV1Freezer(directory)) {
    const state = tryReadControlFile(`${directory.hostPath}/freezer.state`);
    return state === 'FROZEN' || state === 'FREEZING';
  }
  if (directory.kind === 'v1') return false;
  return tryReadControlFile(`${directory.hostPath}/cgroup.freeze`) === '1' || isV2Frozen(directory.hostPath);
}

/** Stops every process of the cgroup and waits for it. Errors: `cgroup`; the cgroup is thawed again then. */
export async function freezeDirectory(directory: CgroupReferenceDirectory): Promise<void> {
  const { kind, hostPath } = directory;
  const frozen = kind === 'v2' ? await freezeV2(hostPath) : await freezeV1(hostPath);
  if (frozen) return;
  thawDirectory(directory);
  throw new TsrunError(
    'cgroup',
    `freeze cgroup ${JSON.stringify(hostPath)}: not frozen within ${FREEZE_TIMEOUT_MS} ms`,
  );
}

/** Lets the processes run again; nothing happens to a cgroup that is not frozen or is gone. Errors: `cgroup`. */
export function thawDirectory({ kind, hostPath }: CgroupReferenceDirectory): void {
  const [file, value] = kind === 'v2' ? ['cgroup.freeze', '0'] : ['freezer.state', 'THAWED'];
  try {
    writeControlFile(`${hostPath}/${file}`, value);
  } catch (error) {
    // Also while it is written to: its last process may have been killed just now, and systemd removes it then.
    if (isGone(error)) return;
    throw cgroupError(`thaw cgroup ${JSON.stringify(hostPath)}`, error);
  }
}

function isV1Freezer({ kind, controllers }: CgroupReferenceDirectory): boolean {
  return kind === 'v1' && controllers.includes('freezer');
}

function isV2Frozen(hostPath: string): boolean {
  return /^frozen 1$/m.test(tryReadControlFile(`${hostPath}/cgroup.events`) ?? '');
}

async function freezeV2(hostPath: string): Promise<boolean> {
  try {
    writeControlFile(`${hostPath}/cgroup.freeze`, '1');
  } catch (error) {
    throw cgroupError(`freeze cgroup ${JSON.stringify(hostPath)}`, error);
  }
  // A cgroup that is gone by now would be waited for in vain.
  const isSettled = (): boolean => isV2Frozen(hostPath) || !existsSync(hostPath);
  await waitUntil(isSettled, { file: `${hostPath}/cgroup.events`, timeoutMs: FREEZE_TIMEOUT_MS });
  return isV2Frozen(hostPath);
}

/**
 * v1 sends no event, and a group can stay FREEZING until the state is written once more (the kernel looks at its tasks only
 * then); now and then a group must be let go for a moment. Source: runc, fs/freezer.go, which found out the hard way.
 */
async function freezeV1(hostPath: string): Promise<boolean> {
  const file = `${hostPath}/freezer.state`;
  const deadline = Date.now() + FREEZE_TIMEOUT_MS;
  try {
    for (let attempt = 1; Date.now() < deadline; attempt++) {
      if (attempt % ATTEMPTS_BETWEEN_THAWS === 0) {
        writeControlFile(file, 'THAWED');
        await pause(10);
      }
      writeControlFile(file, 'FROZEN');
      if (readControlFile(file) === 'FROZEN') return true;
      await pause(Math.min(attempt, 10));
    }
    return false;
  } catch (error) {
    throw cgroupError(`freeze cgroup ${JSON.stringify(hostPath)}`, error);
  }
}
