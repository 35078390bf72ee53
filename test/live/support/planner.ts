import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { bindLibc } from '../../../src/sys/library.ts';
import { CLONE_NEWNS } from '../../../src/util/constants.ts';
import { nodeScript } from './surroundings.ts';
import { waitFor } from './wait.ts';

const unshare = bindLibc('int unshare(int flags)');

/** Where a planner of root listens. */
export const PLANNER_DIRECTORY = '/run/tsrun-planner';
export const PLANNER_SOCKET = `${PLANNER_DIRECTORY}/socket`;

/** What launchers of the tests are built for. */
export const LAUNCHER = path.resolve('dist/tsrun');
/** The engine in the executable, without its launcher: what asks by it is not counted as a call. */
export const ENGINE = path.resolve('dist/tsrun-cold');

/** For what nothing is said about how long it takes. */
const START_MS = 60_000;

/** How a planner is started: on Node, or on the engine of the executable. */
export const ENGINES = {
  node: [process.execPath, nodeScript],
  executable: [LAUNCHER],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type PlannerEngine = keyof typeof ENGINES;

/** What `tsrun planner status` says. */
export interface PlannerReport {
  readonly pid: number;
  readonly memoryBytes: number;
  readonly underWay: number;
  readonly warm: number;
  readonly lost: number;
  readonly cold: Readonly<Record<string, number>>;
}

/** The planner that the runner wants for every file: `TSRUN_TEST_PLANNER`. */
export const wantedPlanner = readWanted(process.env.TSRUN_TEST_PLANNER);

let hasOwnMounts = false;

/**
 * Gives this process, and what it starts from now on, a mount namespace with an empty directory for a planner. Without a planner nothing
 * else changes; a planner of the machine is not seen.
 */
export function ensureOwnMounts(): void {
  if (hasOwnMounts) return;
  const isShared = / \/ \/ \S+ shared:/.test(readFileSync('/proc/self/mountinfo', 'latin1'));
  mkdirSync(PLANNER_DIRECTORY, { recursive: true, mode: 0o700 });
  if (unshare(CLONE_NEWNS) !== 0) throw new Error('unshare(CLONE_NEWNS) failed');
  execFileSync('mount', ['--make-rslave', '/']);
  if (isShared) execFileSync('mount', ['--make-rshared', '/']);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', PLANNER_DIRECTORY]);
  hasOwnMounts = true;
}

/** What a command is called by that is to do without a planner of the tests: nothing where there is none. */
export function withoutPlanner(): readonly string[] {
  return hasOwnMounts ? ['unshare', '--mount', 'sh', '-c', `umount ${PLANNER_DIRECTORY} && exec "$@"`, 'sh'] : [];
}

/** A planner of the tests, in their own mount namespace; it ends with them. */
export class TestPlanner {
  readonly child: ChildProcess;
  readonly #errorFile: string;
  #descriptors: readonly string[] = [];

  private constructor(child: ChildProcess, errorFile: string) {
    this.child = child;
    this.#errorFile = errorFile;
  }

  /** `errorFile` gets what it says. */
  static async start(
    errorFile: string,
    {
      engine = 'node',
      under = [],
      options = [],
    }: {
      readonly engine?: PlannerEngine;
      readonly under?: readonly string[];
      readonly options?: readonly string[];
    } = {},
  ): Promise<TestPlanner> {
    ensureOwnMounts();
    const errors = openSync(errorFile, 'a');
    const argv = ['setpriv', '--pdeathsig', 'KILL', ...under, ...ENGINES[engine], 'planner', ...options];
    const [file = '', ...args] = argv;
    const child = spawn(file, args, {
      stdio: ['ignore', 'ignore', errors],
      env: { PATH: process.env.PATH },
    });
    closeSync(errors);
    const planner = new TestPlanner(child, errorFile);
    try {
      await planner.#untilWarm();
    } catch (error) {
      // There is one at a time: the next one would not start.
      await planner.end('SIGKILL');
      throw error;
    }
    planner.#descriptors = planner.descriptors();
    return planner;
  }

  /** The first command loads modules and opens what stays open. On a busy machine it may take longer than a launcher waits. */
  async #untilWarm(): Promise<void> {
    await waitFor(() => {
      if (this.child.exitCode !== null) throw new Error(`planner: ${this.errors()}`);
      return existsSync(PLANNER_SOCKET) && this.ask()?.pid === this.pid;
    }, START_MS);
    await waitFor(() => {
      spawnSync(LAUNCHER, ['--root', '/nonexistent', 'list'], { stdio: 'ignore', env: {} });
      const { warm, cold } = this.report();
      if (cold['build'] !== undefined) throw new Error('the planner and dist/tsrun are not of one build');
      return warm > 0;
    }, START_MS);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What it has said of failures. */
  errors(): string {
    return readFileSync(this.#errorFile, 'utf8');
  }

  /** Its report; undefined where none answers. */
  ask(): PlannerReport | undefined {
    try {
      return this.report();
    } catch {
      return undefined;
    }
  }

  report(): PlannerReport {
    const text = execFileSync(ENGINE, ['planner', 'status'], { stdio: ['ignore', 'pipe', 'ignore'], env: {} });
    return JSON.parse(text.toString()) as PlannerReport;
  }

  /** Its descriptors, by number. */
  descriptors(): string[] {
    return readdirSync(`/proc/${this.pid}/fd`).sort((one, other) => Number(one) - Number(other));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends a signal that ends it, and waits for that. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }

  /** Fails the test unless it holds nothing of anybody's; it goes on. */
  async expectIdle(t: Test): Promise<void> {
    try {
      await waitFor(() => this.report().underWay === 0 && this.descriptors().length <= this.#descriptors.length);
    } catch {
      const links = execFileSync('ls', ['-l', `/proc/${this.pid}/fd`], { encoding: 'utf8' });
      t.fail('the planner holds something', { report: this.report(), before: this.#descriptors, links });
    }
    t.equal(this.errors(), '', 'the planner has nothing to complain of');
  }

  /** Ends it, and fails the test where it has left something open, or failed. Returns its last report. */
  async finish(t: Test): Promise<PlannerReport | undefined> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) {
      t.fail('the planner has ended', { code: this.child.exitCode, signal: this.child.signalCode });
      return undefined;
    }
    await this.expectIdle(t);
    const report = this.report();
    await this.end();
    return report;
  }
}

/** A planner for a group of tests where the runner wants one. */
export async function startWantedPlanner(errorFile: string): Promise<TestPlanner | undefined> {
  return wantedPlanner === undefined ? undefined : await TestPlanner.start(errorFile, { engine: wantedPlanner });
}

/** Leaves what a planner has done where the runner sums it up: a line of JSON in the file that `TSRUN_TEST_PLANNER_COUNTS` names. */
export function recordReport(report: PlannerReport): void {
  const file = process.env.TSRUN_TEST_PLANNER_COUNTS;
  if (file === undefined) return;
  appendFileSync(file, `${JSON.stringify({ file: path.relative('.', process.argv[1] ?? ''), ...report })}\n`);
}

function readWanted(value: string | undefined): PlannerEngine | undefined {
  if (value === undefined || value === '') return undefined;
  if (value === 'node' || value === 'executable') return value;
  throw new Error(`TSRUN_TEST_PLANNER is ${JSON.stringify(value)}, wanted node or executable`);
}
