import { TsrunError } from '../errors.ts';
import type { BusName, ScopePlan, UnitProperty } from '../plan/cgroup/plan.ts';
import type { BusAddresses } from '../plan/cgroup/systemd/bus-addresses.ts';
import { Bus } from '../sys/sd-bus/bus.ts';
import { BusError, type BusMember } from '../sys/sd-bus/message.ts';
import type { BusValue } from '../sys/sd-bus/values.ts';

const DESTINATION = 'org.freedesktop.systemd1';
const MANAGER_PATH = '/org/freedesktop/systemd1';
const MANAGER = 'org.freedesktop.systemd1.Manager';
const JOB_SIGNALS = `type='signal',sender='${DESTINATION}',interface='${MANAGER}',member='JobRemoved'`;
/** How long a job may take; what systemd does for a scope takes milliseconds. */
const JOB_TIMEOUT_MS = 30_000;
/** Starts of a unit: once more after the remains of a failed one are cleared away. */
const STARTS_MAX = 2;

const NO_SUCH_UNIT = 'org.freedesktop.systemd1.NoSuchUnit';
const UNIT_EXISTS = 'org.freedesktop.systemd1.UnitExists';

/**
 * Transient units of one of systemd's managers, through D-Bus. Every method throws `cgroup`.
 *
 * Source: man 5 org.freedesktop.systemd1; systemd's documents "Control Group Interface" and "Control Group APIs and Delegation".
 */
export class SystemdUnits implements Disposable {
  readonly #name: BusName;
  readonly #bus: Bus;

  constructor(name: BusName, addresses: BusAddresses) {
    this.#name = name;
    try {
      this.#bus = Bus.open(name, addresses[name]);
    } catch (error) {
      throw this.#explain('use the systemd cgroup manager', error);
    }
  }

  /** Starts a unit around a process. Shape: the path of its cgroup, relative to the mount point, starting with `/`. */
  async start(scope: ScopePlan, pid: number): Promise<string> {
    const title = `start the systemd unit ${JSON.stringify(scope.unit)}`;
    try {
      const version = await this.#version();
      const pids: UnitProperty[] = scope.isSlice ? [] : [{ name: 'PIDs', signature: 'au', value: [pid] }];
      const known = [...scope.properties, ...pids].filter(({ since }) => since === undefined || version >= since);
      await this.#startOnce(scope.unit, known);
      return await this.#cgroupOf(scope);
    } catch (error) {
      throw this.#explain(title, error);
    }
  }

  /** Moves a process into a unit that runs; systemd does it for those who may not do it themselves. */
  async attach(unit: string, pid: number): Promise<void> {
    try {
      await this.#call('AttachProcessesToUnit', 'ssau', [unit, '', [pid]]);
    } catch (error) {
      throw this.#explain(`move process ${pid} into the systemd unit ${JSON.stringify(unit)}`, error);
    }
  }

  async setProperties(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    try {
      const version = await this.#version();
      const known = properties.filter(({ since }) => since === undefined || version >= since);
      await this.#call('SetUnitProperties', 'sba(sv)', [unit, true, known.map(toBus)]);
    } catch (error) {
      throw this.#explain(`set properties of the systemd unit ${JSON.stringify(unit)}`, error);
    }
  }

  /** Stops a unit and forgets that it failed; one that is gone is no error. */
  async stop(unit: string): Promise<void> {
    try {
      await this.#bus.watch(JOB_SIGNALS);
      await this.#runJob('StopUnit', 'ss', [unit, 'replace']);
    } catch (error) {
      if (!isBusError(error, NO_SUCH_UNIT)) throw this.#explain(`stop the systemd unit ${JSON.stringify(unit)}`, error);
    }
    await this.#reset(unit);
  }

  async #startOnce(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    await this.#bus.watch(JOB_SIGNALS);
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await this.#runJob('StartTransientUnit', 'ssa(sv)a(sa(sv))', [
          unit,
          'replace',
          properties.map(toBus),
          [],
        ]);
        if (result === 'done') return;
        throw new TsrunError('cgroup', `systemd says ${JSON.stringify(result)}`);
      } catch (error) {
        // Only what is left of a unit that failed is cleared away: one that runs belongs to somebody.
        if (!isBusError(error, UNIT_EXISTS) || attempt === STARTS_MAX) throw error;
        await this.#reset(unit);
      }
    }
  }

  async #version(): Promise<number> {
    return Number.parseInt(digits(await this.#bus.readString(manager('Version'))), 10);
  }

  /** Starts a job and waits for its end. Shape: its result, `done` when it did what it should. */
  async #runJob(member: string, signature: string, values: readonly BusValue[]): Promise<string> {
    using reply = await this.#bus.call(manager(member), signature, values);
    const job = reply.readString('o');
    const deadline = Date.now() + JOB_TIMEOUT_MS;
    for (;;) {
      using message = await this.#bus.nextMessage(Math.max(0, deadline - Date.now()));
      if (message === undefined) throw new TsrunError('cgroup', `the job took longer than ${JOB_TIMEOUT_MS / 1000} s`);
      if (!message.isSignal(MANAGER, 'JobRemoved')) continue;
      message.readNumber();
      if (message.readString('o') !== job) continue;
      message.readString();
      return message.readString();
    }
  }

  async #cgroupOf({ unit, isSlice }: ScopePlan): Promise<string> {
    using reply = await this.#bus.call(manager('GetUnit'), 's', [unit]);
    const path = reply.readString('o');
    const member = { destination: DESTINATION, path, interface: `${DESTINATION}.${isSlice ? 'Slice' : 'Scope'}` };
    const cgroup = await this.#bus.readString({ ...member, member: 'ControlGroup' });
    if (!cgroup.startsWith('/') || cgroup === '/') {
      throw new TsrunError('cgroup', `systemd says that its cgroup is ${JSON.stringify(cgroup)}`);
    }
    return cgroup;
  }

  async #reset(unit: string): Promise<void> {
    try {
      await this.#call('ResetFailedUnit', 's', [unit]);
    } catch (error) {
      // A unit that did not fail is gone as soon as it has stopped.
      if (!(error instanceof BusError)) throw this.#explain(`reset the systemd unit ${JSON.stringify(unit)}`, error);
    }
  }

  async #call(member: string, signature: string, values: readonly BusValue[]): Promise<void> {
    (await this.#bus.call(manager(member), signature, values))[Symbol.dispose]();
  }

  #explain(title: string, error: unknown): TsrunError {
    const reason = error instanceof Error ? error.message : String(error);
    const hint =
      this.#name === 'user'
        ? 'a user session with DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR is needed'
        : 'systemd has to run on this machine';
    const isUnreachable = error instanceof TsrunError && error.errno !== undefined && !(error instanceof BusError);
    return new TsrunError(
      'cgroup',
      `${title}: ${reason}${isUnreachable ? ` (${hint}, or use --cgroup-manager cgroupfs)` : ''}`,
      { cause: error, ...(error instanceof TsrunError && error.errno !== undefined ? { errno: error.errno } : {}) },
    );
  }

  [Symbol.dispose](): void {
    this.#bus[Symbol.dispose]();
  }
}

function manager(member: string): BusMember {
  return { destination: DESTINATION, path: MANAGER_PATH, interface: MANAGER, member };
}

function toBus({ name, signature, value }: UnitProperty): BusValue {
  return [name, [signature, value]];
}

/** `v252.39-1~deb12u1` and `252.39` are both 252. */
function digits(version: string): string {
  return version.replace(/^\D+/, '');
}

/** Whether a unit could not be started because there is one of this name. */
export function isUnitExists(error: unknown): boolean {
  return error instanceof TsrunError && isBusError(error.cause, UNIT_EXISTS);
}

function isBusError(error: unknown, name: string): boolean {
  return error instanceof BusError && error.busError === name;
}
