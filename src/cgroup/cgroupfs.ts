import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import { hasErrno } from '../sys/errno.ts';
import { O_PATH } from '../util/constants.ts';
import { applyWrites } from './apply.ts';
import { cgroupError, errnoOf, isGone, tryReadControlFile, writeControlFile } from './control-file.ts';
import { applyDeviceProgram } from './device-program.ts';
import { removeEmpty, removeTree, verifyMount } from './directory.ts';
import { findFreezer, freezeDirectory, isDirectoryFrozen, thawDirectory } from './freezer.ts';
import type { ManagedCgroup, CgroupReference, CgroupReferenceDirectory } from './cgroup.ts';
import { listProcesses } from './processes.ts';
import { waitUntil } from './wait.ts';
import { SIGNALS } from '../util/signals.ts';

/** How long a removal waits for processes that are on their way out. */
const REMOVE_TIMEOUT_MS = 1000;
/** After SIGKILL the kernel may take its time, as with a process that waits for a disk. */
const KILL_TIMEOUT_MS = 10_000;

/** The cgroups of a container from what its state keeps. Errors: `state` when a path in it is not below its mount point. */
export function openCgroupfs(reference: CgroupReference): ManagedCgroup {
  verifyReference(reference);
  return new CgroupfsCgroup(reference);
}

/** A state file may be damaged or forged: nothing outside the hierarchies it names is ever removed because of it. */
function verifyReference({ directories }: CgroupReference): void {
  for (const { mountPoint, hostPath, made } of directories) {
    const inside = (path: string): boolean => path.startsWith(`${mountPoint}/`) && !path.split('/').includes('..');
    const bad = [hostPath, ...made].find((path) => !inside(path));
    if (bad === undefined) continue;
    throw new TsrunError(
      'state',
      `use cgroup ${JSON.stringify(bad)}: it is no path below ${JSON.stringify(mountPoint)}`,
    );
  }
}

class CgroupfsCgroup implements ManagedCgroup {
  readonly reference: CgroupReference;

  constructor(reference: CgroupReference) {
    this.reference = reference;
  }

  openDirectory(): number | undefined {
    const unified = this.#unified();
    if (unified === undefined) return undefined;
    try {
      return openSync(unified.hostPath, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    } catch (error) {
      throw cgroupError(`open cgroup ${JSON.stringify(unified.hostPath)}`, error);
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a failure is a rejection, as with systemd
  async applyLimits(plan: CgroupPlan): Promise<void> {
    applyWrites(plan.limits, this.reference.directories);
  }

  attach(): Promise<void> {
    return Promise.resolve();
  }

  announceLimits(): Promise<void> {
    return Promise.resolve();
  }

  applyDevices({ devices }: CgroupPlan): void {
    if (devices === undefined) return;
    try {
      if (devices.kind === 'v1') applyWrites(devices.writes, this.reference.directories);
      else this.#applyProgram(devices.program);
    } catch (error) {
      // Without privileges over the kernel's devices nobody in the container can make or open more than the outside allows.
      if (!devices.optional || !hasErrno(error, 'EPERM', 'EACCES', 'ENOENT')) throw error;
    }
  }

  processes(): number[] {
    const directory = this.#forProcesses();
    return directory === undefined ? [] : listProcesses(directory.hostPath).pids;
  }

  isFrozen(): boolean {
    return this.reference.directories.some(isDirectoryFrozen);
  }

  async freeze(): Promise<void> {
    const freezer = findFreezer(this.reference.directories);
    if (freezer === undefined) throw new TsrunError('unsupported', 'freeze the container: no freezer is mounted');
    await freezeDirectory(freezer);
  }

  async thaw(): Promise<void> {
    // Whoever froze it may have used the other of the two on a hybrid machine.
    const frozen = this.reference.directories.filter(isDirectoryFrozen);
    if (frozen.length === 0) return;
    for (const directory of frozen) thawDirectory(directory);
    await waitUntil(() => !this.isFrozen(), { ...this.#events(), timeoutMs: REMOVE_TIMEOUT_MS });
  }

  async killAll(signal: number): Promise<void> {
    if (this.#isEmpty()) return;
    if (signal === SIGNALS.KILL && this.#killByCgroup()) {
      // cgroup.kill reaches every process of the cgroup2 directory, but one that a v1 freezer holds cannot die.
      await this.thaw();
      return;
    }
    const wasFrozen = this.isFrozen();
    // Nobody can fork away from a frozen list of processes, and no pid in it can become somebody else's.
    if (!wasFrozen && signal === SIGNALS.KILL) await this.#freezeIfThere();
    try {
      for (const pid of this.processes()) sendSignal(pid, signal);
    } finally {
      if (!wasFrozen || signal === SIGNALS.KILL) await this.thaw();
    }
  }

  async remove(options: { kill?: boolean } = {}): Promise<void> {
    const own = this.reference.directories.filter(({ hostPath, made }) => made.includes(hostPath));
    if (options.kill === true && !this.#isEmpty()) {
      await this.killAll(SIGNALS.KILL);
      await waitUntil(() => this.processes().length === 0, { ...this.#events(), timeoutMs: KILL_TIMEOUT_MS });
    }
    // One hierarchy that resists must not keep the others from being cleaned up.
    const failures: unknown[] = [];
    for (const directory of own) {
      try {
        if (this.#isThere(directory)) await this.#removeDirectory(directory);
        removeEmpty(directory.made.filter((path) => path !== directory.hostPath));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Nobody is left who could fork, or would have to be thawed to die. Source: cgroup-v2.rst, "populated". */
  #isEmpty(): boolean {
    const unified = this.#unified();
    const events = unified === undefined ? undefined : tryReadControlFile(`${unified.hostPath}/cgroup.events`);
    return events === undefined ? this.processes().length === 0 : /^populated 0$/m.test(events);
  }

  async #removeDirectory(directory: CgroupReferenceDirectory): Promise<void> {
    const { hostPath } = directory;
    try {
      const file = directory.kind === 'v2' ? { file: `${hostPath}/cgroup.events` } : {};
      if (await waitUntil(() => removeTree(hostPath), { ...file, timeoutMs: REMOVE_TIMEOUT_MS })) return;
    } catch (error) {
      throw cgroupError(`remove cgroup ${JSON.stringify(hostPath)}`, error);
    }
    const { pids, outside } = listProcesses(hostPath);
    const count = pids.length + outside;
    throw TsrunError.of('cgroup', `remove cgroup ${JSON.stringify(hostPath)}: ${count} process(es) left`, 'EBUSY');
  }

  /** False when the cgroup is gone; verifies that what is there lies in a hierarchy, since it is about to be removed. */
  #isThere(directory: CgroupReferenceDirectory): boolean {
    try {
      verifyMount(directory);
      return true;
    } catch (error) {
      if (existsSync(directory.hostPath)) throw error;
      return false;
    }
  }

  #applyProgram(program: Uint8Array): void {
    const fd = this.openDirectory();
    if (fd === undefined) throw new Error('bug: a device program without a cgroup2 directory');
    closeAfter(fd, () => {
      applyDeviceProgram(fd, program);
    });
  }

  /** systemd removes a cgroup as soon as nobody is in it, also at this moment. */
  async #freezeIfThere(): Promise<void> {
    const freezer = findFreezer(this.reference.directories);
    if (freezer === undefined) return;
    try {
      await freezeDirectory(freezer);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT', 'ENODEV') && existsSync(freezer.hostPath)) throw error;
    }
  }

  /** cgroup.kill, since 5.14. False where that is not there, or the cgroup itself is gone. */
  #killByCgroup(): boolean {
    const unified = this.#unified();
    if (unified === undefined) return false;
    try {
      writeControlFile(`${unified.hostPath}/cgroup.kill`, '1');
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw cgroupError(`kill the processes of cgroup ${JSON.stringify(unified.hostPath)}`, error);
    }
  }

  #unified(): CgroupReferenceDirectory | undefined {
    return this.reference.directories.find(({ kind }) => kind === 'v2');
  }

  #forProcesses(): CgroupReferenceDirectory | undefined {
    return this.#unified() ?? findFreezer(this.reference.directories) ?? this.reference.directories[0];
  }

  #events(): { file?: string } {
    const unified = this.#unified();
    return unified === undefined ? {} : { file: `${unified.hostPath}/cgroup.events` };
  }
}

function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw cgroupError(`send signal ${signal} to process ${pid}`, error);
  }
}

function closeAfter(fd: number, action: () => void): void {
  try {
    action();
  } finally {
    closeSync(fd);
  }
}
