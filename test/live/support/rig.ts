import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { specTemplate } from '../../../src/spec/template.ts';
import type { Config, Linux, Mount, Process } from '../../../src/spec/generated/config.ts';
import { startCommand, type CommandOptions, type CommandResult, type RunningCommand } from './command.ts';
import { findLeftovers, listOwnProcesses, removeCgroups, type Marks } from './leftovers.ts';
import { recordReport, startWantedPlanner, wantedPlanner, type TestPlanner } from './planner.ts';
import { makeRootfs } from './rootfs.ts';
import { prefixOf, removeStaleRigs, RIG_DIRECTORY, signRig } from './stale-rigs.ts';
import { globalOptions, inSession, reasonToSkip, slowness, testUser, tsrunCommand } from './surroundings.ts';

/** A config whose parts are there to be changed. */
export type BaseConfig = Config & {
  process: Process & { args: string[]; env: string[] };
  mounts: Mount[];
  linux: Linux;
};

export interface BundleOptions {
  /** What the container runs. Default: `true`. A string is for `sh -c`. */
  readonly args?: readonly string[] | string;
  readonly change?: (config: BaseConfig) => void;
  /** Changes the bundle's own rootfs; without it the bundle shares one with the others. */
  readonly fill?: (rootfs: string) => void;
  /** Runs the result of everything else; for configs that are wrong on purpose. */
  readonly text?: (config: BaseConfig) => string;
}

export interface TsrunOptions extends CommandOptions {
  /** Command and arguments that tsrun is run under, such as `unshare --mount`. */
  readonly under?: readonly string[];
  readonly global?: readonly string[];
}

export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Record<string, string>;
  readonly owner: string;
}

let count = 0;

/** Everything that one test file makes, below one directory, and the tsrun that it calls. */
export class Rig {
  readonly directory = mkdtempSync(path.join(tmpdir(), RIG_DIRECTORY));
  /** Every id starts with it; unlike any of another rig. */
  readonly prefix = prefixOf(this.directory);
  readonly root = path.join(this.directory, 'state');
  readonly rootfs = path.join(this.directory, 'rootfs');
  /** Whether systemd makes the cgroups, so that a cgroupsPath has the form `slice:prefix:name`. */
  readonly usesSystemd = globalOptions.includes('--systemd-cgroup');
  readonly #sessions = new Set<number>();
  readonly #ids = new Set<string>();
  #latestBundle = '';

  constructor() {
    signRig(this.directory);
    removeStaleRigs();
    // The root of a user namespace is somebody else on the way to the rootfs.
    chmodSync(this.directory, 0o755);
    makeOwnRootfs(this.rootfs);
    mkdirSync(path.join(this.directory, 'output'));
    if (testUser === undefined) return;
    // Bundles, logs and pid files are that user's to write: the directories of the tests are everybody's.
    process.umask(0);
    chmodSync(this.directory, 0o777);
    mkdirSync(this.root, 0o700);
    chownSync(this.root, testUser, testUser);
  }

  /** A new container id. */
  id(name = 'c'): string {
    count += 1;
    const id = `${this.prefix}-${name}-${count}`;
    this.#ids.add(id);
    return id;
  }

  /** A path in the rig's directory. */
  path(...parts: readonly string[]): string {
    return path.join(this.directory, ...parts);
  }

  /** A new file or directory that nobody else uses. */
  fresh(name: string): string {
    count += 1;
    return this.path(`${name}-${count}`);
  }

  /** The bundle that was made last. */
  latestBundle(): string {
    return this.#latestBundle;
  }

  /** Writes a bundle and returns its path. */
  bundle(options: BundleOptions = {}): string {
    const bundle = this.fresh('bundle');
    this.#latestBundle = bundle;
    mkdirSync(bundle);
    const config = baseConfig();
    const { args = ['true'] } = options;
    config.process.args = typeof args === 'string' ? ['/bin/sh', '-c', args] : [...args];
    config.root = { path: this.rootfs };
    if (options.fill !== undefined) {
      const rootfs = path.join(bundle, 'rootfs');
      makeOwnRootfs(rootfs);
      options.fill(rootfs);
      config.root = { path: 'rootfs' };
    }
    options.change?.(config);
    writeFileSync(path.join(bundle, 'config.json'), options.text?.(config) ?? JSON.stringify(config, undefined, 2));
    return bundle;
  }

  /** Starts a command without waiting for it. */
  start(argv: readonly string[], options: CommandOptions = {}): RunningCommand {
    const running = startCommand(argv, { ...options, outputBase: this.fresh('output/command') });
    this.#sessions.add(running.pid);
    return running;
  }

  /** Starts tsrun without waiting for it. */
  startTsrun(args: readonly string[], options: TsrunOptions = {}): RunningCommand {
    return this.start([...(options.under ?? []), ...this.tsrunArgv(args, options.global)], options);
  }

  tsrunArgv(args: readonly string[], global: readonly string[] = []): string[] {
    // A test that chooses the manager of its cgroups means this one.
    const common = global.some((word) => word.includes('cgroup')) ? [] : globalOptions;
    const session = testUser === undefined ? [] : inSession(testUser);
    return [...session, ...tsrunCommand, '--root', this.root, ...common, ...global, ...args];
  }

  async tsrun(args: readonly string[], options: TsrunOptions = {}): Promise<CommandResult> {
    return this.startTsrun(args, options).done;
  }

  /** `tsrun run` of a new bundle. */
  async run(
    bundle: BundleOptions = {},
    options: TsrunOptions & { readonly flags?: readonly string[] } = {},
  ): Promise<CommandResult> {
    const { flags = [] } = options;
    return this.tsrun(['run', ...flags, '--bundle', this.bundle(bundle), this.id('run')], options);
  }

  /** Output of `tsrun run`, trimmed; the test fails unless it went well. */
  async output(
    t: Test,
    bundle: BundleOptions,
    options: TsrunOptions & { readonly flags?: readonly string[] } = {},
  ): Promise<string> {
    const result = await this.run(bundle, options);
    expectSuccess(t, result);
    return result.stdout.trim();
  }

  /** A created container; the test fails unless it went well. */
  async create(
    t: Test,
    bundle: BundleOptions = {},
    flags: readonly string[] = [],
  ): Promise<{ id: string; pid: number; result: CommandResult }> {
    const id = this.id('created');
    const result = await this.tsrun(['create', ...flags, '--bundle', this.bundle(bundle), id]);
    expectSuccess(t, result, 'create');
    return { id, pid: result.code === 0 ? (await this.state(id)).pid : 0, result };
  }

  /** A running container that sleeps until it is killed. */
  async sleeper(t: Test, bundle: BundleOptions = {}): Promise<{ id: string; pid: number; result: CommandResult }> {
    const container = await this.create(t, { args: ['sleep', '1000'], ...bundle });
    expectSuccess(t, await this.tsrun(['start', container.id]), 'start');
    return container;
  }

  async state(id: string): Promise<State> {
    const { stdout, stderr, code } = await this.tsrun(['state', id]);
    if (code !== 0) throw new Error(`state: ${stderr}`);
    return JSON.parse(stdout) as State;
  }

  /** Waits for a status, which nothing announces. */
  async waitForStatus(id: string, wanted: string, deadlineMs = 10_000): Promise<State> {
    const end = Date.now() + deadlineMs * slowness;
    for (;;) {
      const state = await this.state(id);
      if (state.status === wanted) return state;
      if (Date.now() > end) throw new Error(`${id} is ${state.status}, wanted ${wanted}`);
    }
  }

  /** Waits for what is left of a container whose `create` was killed: one that is stopped, or nothing where a planner takes it down. */
  async waitForAbandoned(id: string, deadlineMs = 10_000): Promise<void> {
    const end = Date.now() + deadlineMs * slowness;
    for (;;) {
      const { stdout, code } = await this.tsrun(['state', id]);
      if (code !== 0 && wantedPlanner !== undefined) return;
      if (code === 0 && (JSON.parse(stdout) as State).status === 'stopped') return;
      if (Date.now() > end) throw new Error(`${id} is neither stopped nor gone: ${stdout}`);
    }
  }

  async delete(t: Test, ...ids: readonly string[]): Promise<void> {
    for (const id of ids) expectSuccess(t, await this.tsrun(['delete', '--force', id]), 'delete');
  }

  marks(): Marks {
    return { prefix: this.prefix, directory: this.directory, root: this.root, sessions: this.#sessions };
  }

  leftovers(): string[] {
    return findLeftovers(this.marks());
  }

  /** Deletes every container, then fails the test if anything is left on the host, and clears that up as well. */
  async finish(t: Test): Promise<void> {
    const ids = new Set([...this.#ids, ...readNames(this.root)]);
    const made = new Set(readNames(this.root));
    for (const id of ids) {
      if (!made.has(id)) continue;
      const result = await this.tsrun(['delete', '--force', id]);
      if (result.code !== 0) t.fail(`delete --force ${id}: ${result.stderr}`);
    }
    t.strictSame(this.leftovers(), [], 'nothing is left on the host');
    for (const pid of listOwnProcesses(this.marks())) killQuietly(pid);
    removeCgroups(this.prefix);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A group of live tests on one rig; skipped with the reason where they cannot run. */
export function live(topic: string, body: (t: Test, rig: Rig) => Promise<void>): void {
  liveBeside(topic, (rig) => startWantedPlanner(rig.path('planner.err')), body);
}

/** The same for tests that start planners by themselves: there is one at a time, and none beside theirs. */
export function livePlanners(topic: string, body: (t: Test, rig: Rig) => Promise<void>): void {
  liveBeside(topic, () => Promise.resolve(undefined), body);
}

function liveBeside(
  topic: string,
  startPlanner: (rig: Rig) => Promise<TestPlanner | undefined>,
  body: (t: Test, rig: Rig) => Promise<void>,
): void {
  void t.test(topic, { skip: reasonToSkip() }, async (t) => {
    const rig = new Rig();
    const planner = await startPlanner(rig);
    try {
      await body(t, rig);
    } finally {
      const report = await planner?.finish(t);
      if (report !== undefined) recordReport(report);
      await rig.finish(t);
    }
  });
}

export function expectSuccess(t: Test, result: CommandResult, what = 'tsrun'): void {
  const { code, signal, stderr, timedOut } = result;
  t.strictSame(
    { code, signal, timedOut },
    { code: 0, signal: null, timedOut: false },
    `${what} succeeds${stderr === '' ? '' : `: ${stderr}`}`,
  );
}

/** A clear refusal: one error line that says what is wrong, no trace of a bug. */
export function expectFailure(
  t: Test,
  result: CommandResult,
  wanted: { readonly code?: number; readonly message: RegExp | string },
): void {
  const { code = 1, message } = wanted;
  t.equal(result.code, code, `exit code ${code}`);
  t.match(result.stderr, message, 'the message says it');
  t.notMatch(result.stderr, /\n\s+at |bug in tsrun|bug:/, 'no stack trace');
  t.equal(result.stderr.split('\n').filter((line) => line.includes('level=error')).length, 1, 'one error line');
}

/** The root of the container has to own its files, or it cannot change them. */
function makeOwnRootfs(directory: string): void {
  makeRootfs(directory);
  if (testUser !== undefined) execFileSync('chown', ['-R', `${testUser}:${testUser}`, directory]);
}

/** The template of `tsrun spec`, for the user of the tests, without a terminal and with a writable root. */
export function baseConfig(): BaseConfig {
  const user = testUser === undefined ? { rootless: false } : { rootless: true, uid: testUser, gid: testUser };
  const config = specTemplate(user) as BaseConfig;
  config.process.terminal = false;
  config.root = { path: 'rootfs' };
  config.hostname = 'tsrun-test';
  return config;
}

/** Field of /proc/PID/status, such as `CapEff`. */
export function statusField(text: string, name: string): string {
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? '';
}

export function readStatusField(pid: number | 'self', name: string): string {
  return statusField(readFileSync(`/proc/${pid}/status`, 'utf8'), name);
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Kills a process that may have ended by itself. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
