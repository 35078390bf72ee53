import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { removeTree, listTree } from '../../src/cgroup/directory.ts';
import type { Cgroup } from '../../src/cgroup/cgroup.ts';
import { readCgroupLayout } from '../../src/host/cgroup-layout.ts';
import type { CgroupLayout } from '../../src/plan/base/cgroup-layout.ts';
import type { BusAddresses } from '../../src/plan/cgroup/systemd/bus-addresses.ts';

/** What live tests of cgroups need: real groups of their own name, real processes, and a clean machine afterwards. */

/** For cgroups that systemd has no part in. */
export const NO_BUSES: BusAddresses = { system: undefined, user: undefined };

/** Every group of this run starts so. */
export const PREFIX = `tsrun-test-${process.pid}`;

/** Why live tests cannot run here; undefined when they can. */
export function whyNotLive(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const { mode } = readCgroupLayout('/proc/self');
  return mode === 'v1' || mode === 'hybrid' ? undefined : `needs cgroup v1 hierarchies, found ${mode}`;
}

/** A process that stays until its cgroup or the test ends it. */
export class TestProcess {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** A shell that runs the lines it is given. */
  constructor() {
    this.child = spawn('sh', [], { stdio: ['pipe', 'pipe', 'ignore'] });
    // Writing to a shell that was killed is no failure of the test.
    this.child.stdin?.on('error', () => undefined);
    this.#lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Runs a command in the shell itself and answers its exit status. */
  async run(command: string): Promise<number> {
    this.child.stdin?.write(`${command}\necho $?\n`);
    return Number((await this.#lines.next()).value);
  }

  /** Waits for the end; the signal's name, or null. */
  async ended(): Promise<string | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.signalCode;
  }
}

/** Ends the processes and removes every group of this run, thawed first: a frozen process cannot die on v1. */
export async function cleanUp(processes: readonly TestProcess[]): Promise<void> {
  const groups = allGroups().flatMap((group) => listTree(group));
  for (const group of groups) {
    if (existsSync(`${group}/freezer.state`)) writeFileSync(`${group}/freezer.state`, 'THAWED');
    if (existsSync(`${group}/cgroup.freeze`)) writeFileSync(`${group}/cgroup.freeze`, '0');
  }
  for (const { child } of processes) child.kill('SIGKILL');
  for (const one of processes) await one.ended();
  for (const group of allGroups()) removeTree(group);
}

/** The groups of this run that exist, in every hierarchy. */
export function allGroups(): string[] {
  const { hierarchies, unified } = readCgroupLayout('/proc/self');
  const roots = [...hierarchies, ...(unified === undefined ? [] : [unified])].flatMap(({ mountPoint, ownPath }) => {
    return ownPath === '/' ? [mountPoint] : [mountPoint, `${mountPoint}${ownPath}`];
  });
  return roots.flatMap((root) => {
    return readdirSync(root)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => `${root}/${name}`);
  });
}

/** The machine's layout with some of its v1 hierarchies, and without cgroup2 unless asked for. */
export function partOf(
  layout: CgroupLayout,
  controllers: readonly string[],
  options: { unified: boolean },
): CgroupLayout {
  const hierarchies = layout.hierarchies.filter((one) => one.controllers.some((name) => controllers.includes(name)));
  // Without its controllers nothing is switched on for the rest of the machine.
  const unified =
    options.unified && layout.unified !== undefined ? { unified: { ...layout.unified, controllers: [] } } : {};
  const mode = hierarchies.length === 0 ? 'v2' : options.unified ? 'hybrid' : 'v1';
  return { mode, hierarchies, ...unified };
}

/** Moves a process into the cgroups of a container. */
export function joinCgroups({ reference }: Cgroup, pid: number): void {
  for (const { hostPath } of reference.directories) writeFileSync(`${hostPath}/cgroup.procs`, String(pid));
}

/** The cgroups of a process: controllers (joined by commas, empty for cgroup2) -> path. */
export function membershipOf(pid: number): Map<string, string> {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return [controllers ?? '', path ?? ''];
    }),
  );
}
