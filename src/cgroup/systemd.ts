import { TsrunError } from '../errors.ts';
import type { CgroupPlan, CgroupWrite, UnitProperty } from '../plan/cgroup/plan.ts';
import type { BusAddresses } from '../plan/cgroup/systemd/bus-addresses.ts';
import { applyWrites } from './apply.ts';
import type { CgroupReference, CgroupReferenceDirectory, ManagedCgroup } from './cgroup.ts';
import { openCgroupfs } from './cgroupfs.ts';
import { ensureDirectory, removeEmpty } from './directory.ts';
import { foreseeCgroup } from './foresee.ts';
import { refuseInUse } from './make-cgroupfs.ts';
import { giveAway } from './owner.ts';
import { isUnitExists, SystemdUnits } from './systemd-units.ts';

/**
 * Has systemd make the cgroups, as a transient scope that is delegated to the container.
 *
 * A scope starts with a process in it: only `attach` starts it. From then on its cgroups are worked on like those that tsrun makes
 * itself, and so are the v1 hierarchies that systemd leaves alone. Errors: those of `makeCgroup`.
 */
export function makeSystemdCgroup(plan: CgroupPlan, buses: BusAddresses): ManagedCgroup {
  const reference = foreseeCgroup(plan);
  // systemd would put the unit into a cgroup that is there already.
  for (const directory of reference.directories) refuseInUse(directory);
  return new SystemdCgroup(reference, { buses, isStarted: false });
}

/** The cgroups of a unit that was started. Errors: `state` when a path in the reference is not below its mount point. */
export function openSystemdCgroup(reference: CgroupReference, buses: BusAddresses): ManagedCgroup {
  return new SystemdCgroup(reference, { buses, isStarted: true });
}

class SystemdCgroup implements ManagedCgroup {
  readonly #buses: BusAddresses;
  #reference: CgroupReference;
  /** What a unit's cgroups have in common with those that tsrun makes. */
  #files: ManagedCgroup;
  /** Without a unit there is nothing that could be removed. */
  #isStarted: boolean;

  constructor(reference: CgroupReference, { buses, isStarted }: { buses: BusAddresses; isStarted: boolean }) {
    this.#buses = buses;
    this.#isStarted = isStarted;
    this.#reference = reference;
    this.#files = openCgroupfs(reference);
  }

  get reference(): CgroupReference {
    return this.#reference;
  }

  async attach(pid: number, plan?: CgroupPlan): Promise<void> {
    using units = this.#openUnits();
    if (plan === undefined) {
      await units.attach(this.#unit.name, pid);
      return;
    }
    const path = await this.#start(units, plan, pid);
    this.#adopt(plan, path);
    applyWrites(plan.prepare, this.#reference.directories);
    giveAway(plan, this.#reference.directories);
  }

  async announceLimits(limits: readonly UnitProperty[]): Promise<void> {
    if (limits.length === 0) return;
    using units = this.#openUnits();
    await units.setProperties(this.#unit.name, limits);
  }

  async remove(options: { kill?: boolean } = {}): Promise<void> {
    if (!this.#isStarted) return;
    if (options.kill === true && this.processes().length > 0) await this.killAll(9);
    using units = this.#openUnits();
    await units.stop(this.#unit.name);
    await this.#files.remove(options);
  }

  openDirectory(): number | undefined {
    return this.#files.openDirectory();
  }

  async applyLimits(plan: CgroupPlan, properties: readonly UnitProperty[] = []): Promise<void> {
    const isCheck = ({ kind }: CgroupWrite): boolean => kind === 'check';
    await this.#files.applyLimits({ ...plan, limits: plan.limits.filter(isCheck) });
    await this.announceLimits(properties);
    await this.#files.applyLimits({ ...plan, limits: plan.limits.filter((write) => !isCheck(write)) });
  }

  applyDevices(plan: CgroupPlan): void {
    this.#files.applyDevices(plan);
  }

  processes(): number[] {
    return this.#files.processes();
  }

  isFrozen(): boolean {
    return this.#files.isFrozen();
  }

  freeze(): Promise<void> {
    return this.#files.freeze();
  }

  thaw(): Promise<void> {
    return this.#files.thaw();
  }

  killAll(signal: number): Promise<void> {
    return this.#files.killAll(signal);
  }

  get #unit(): NonNullable<CgroupReference['unit']> {
    const { unit } = this.#reference;
    if (unit === undefined) throw new TsrunError('state', 'use the cgroup of systemd: the state names no unit');
    return unit;
  }

  #openUnits(): SystemdUnits {
    return new SystemdUnits(this.#unit.bus, this.#buses);
  }

  async #start(units: SystemdUnits, { scope }: CgroupPlan, pid: number): Promise<string> {
    try {
      const path = await units.start(scope ?? missingScope(), pid);
      this.#isStarted = true;
      return path;
    } catch (error) {
      // Whatever fails in the middle of it, the unit may be there; but one that was there before is another container's.
      this.#isStarted = !isUnitExists(error);
      throw error;
    }
  }

  /** The cgroups of the unit that has started: systemd says where it is, and what it did not make tsrun makes. */
  #adopt(plan: CgroupPlan, unitPath: string): void {
    const directories: CgroupReferenceDirectory[] = [];
    try {
      for (const { kind, controllers, mountPoint } of plan.directories) {
        const ensured = ensureDirectory({ kind, mountPoint, path: unitPath });
        directories.push({ kind, controllers, mountPoint, ...ensured });
      }
    } catch (error) {
      for (const { made } of directories) removeEmpty(made);
      throw error;
    }
    this.#reference = { ...this.#reference, directories };
    this.#files = openCgroupfs(this.#reference);
  }
}

function missingScope(): never {
  throw new Error('bug: a plan for systemd without a unit');
}
