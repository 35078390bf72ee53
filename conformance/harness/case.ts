import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { baseConfig, makeRootfs, type BaseConfig } from './bundle.ts';
import { runCommand, type CommandResult } from './command.ts';
import { Failure, Skip } from './requirement.ts';

export interface Surroundings {
  /** Command line of the runtime, without global options. */
  readonly runtime: readonly string[];
  /** Directory of the worker; everything made is below it. */
  readonly directory: string;
  /** Every container id starts with it. */
  readonly prefix: string;
  readonly timeoutMs: number;
  /** A copy of busybox in `directory`. */
  readonly busybox: string;
  /** Folder of the JSON schemas of the specification, where there is one. */
  readonly schemas?: string;
}

export interface BundleOptions {
  /** What `sh -c` runs in the container. Default: `true`. */
  readonly script?: string;
  readonly change?: (config: BaseConfig, rootfs: string) => void;
  /** Runs the result of everything else; for texts that are no config. */
  readonly text?: (config: BaseConfig) => string;
}

export interface State {
  readonly ociVersion?: unknown;
  readonly id?: unknown;
  readonly status?: unknown;
  readonly pid?: number;
  readonly bundle?: unknown;
  readonly annotations?: Record<string, string>;
}

const POLL_MS = 10;

/** One requirement on one runtime: its bundles and containers, and the checks of what they show. */
export class Case {
  readonly runtime: readonly string[];
  readonly directory: string;
  readonly root: string;
  readonly #surroundings: Surroundings;
  readonly #name: string;
  readonly #ids: string[] = [];
  readonly #background: ChildProcess[] = [];
  #count = 0;

  constructor(name: string, surroundings: Surroundings) {
    this.#name = name;
    this.#surroundings = surroundings;
    this.runtime = surroundings.runtime;
    this.directory = path.join(surroundings.directory, name);
    this.root = path.join(surroundings.directory, 'state');
    mkdirSync(this.directory, { recursive: true });
    // The root of a user namespace is somebody else on the way to the rootfs.
    chmodSync(this.directory, 0o755);
  }

  get schemas(): string | undefined {
    return this.#surroundings.schemas;
  }

  /** A path in the case's directory that nobody else uses. */
  fresh(name: string): string {
    this.#count += 1;
    return path.join(this.directory, `${name}-${this.#count}`);
  }

  id(): string {
    this.#count += 1;
    const id = `${this.#surroundings.prefix}-${this.#name.replaceAll('.', '-')}-${this.#count}`;
    this.#ids.push(id);
    return id;
  }

  bundle({ script = 'true', change, text }: BundleOptions = {}): string {
    const bundle = this.fresh('bundle');
    const rootfs = path.join(bundle, 'rootfs');
    makeRootfs(rootfs, this.#surroundings.busybox);
    const config = baseConfig(script);
    change?.(config, rootfs);
    writeFileSync(path.join(bundle, 'config.json'), text?.(config) ?? JSON.stringify(config, undefined, 2));
    return bundle;
  }

  /** Runs the runtime with `--root`. */
  async cli(
    args: readonly string[],
    { under = [], ...options }: { readonly cwd?: string; readonly under?: readonly string[] } = {},
  ): Promise<CommandResult> {
    const result = await this.host([...under, ...this.runtime, '--root', this.root, ...args], options);
    if (result.timedOut)
      throw new Failure(`the runtime's ${args[0]} was killed after ${this.#surroundings.timeoutMs} ms`, {
        wanted: 'an end',
        found: result.stderr,
      });
    return result;
  }

  /** Runs a program of the machine. */
  host(argv: readonly string[], options: { readonly cwd?: string } = {}): Promise<CommandResult> {
    return runCommand(argv, {
      outputBase: this.fresh('command'),
      timeoutMs: this.#surroundings.timeoutMs,
      cwd: this.directory,
      ...options,
    });
  }

  /** Runs a program of the machine that is part of the set-up: where it fails, the requirement is skipped. */
  async prepare(...argv: readonly string[]): Promise<string> {
    const result = await this.host(argv).catch((error: unknown) => {
      throw new Skip(`${argv[0]}: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (result.code !== 0) throw new Skip(`${argv.join(' ')}: ${result.stderr.trim()}`);
    return result.stdout;
  }

  /** Starts a program of the machine that runs until the end of the case; its pid. */
  background(...[file = '', ...args]: readonly string[]): number {
    const child = spawn(file, args, { stdio: 'ignore', cwd: '/' });
    // Without a pid it was not started, which the caller sees.
    child.on('error', () => undefined);
    this.#background.push(child);
    if (child.pid === undefined) throw new Skip(`${file} cannot be started`);
    return child.pid;
  }

  /** A created container. */
  async create(options: BundleOptions & { readonly bundle?: string } = {}): Promise<Container> {
    const { container, result } = await this.tryCreate(options);
    if (result.code !== 0) throw new Failure('create fails', { wanted: 'exit code 0', found: told(result) });
    return container;
  }

  async tryCreate(
    options: BundleOptions & {
      readonly bundle?: string;
      readonly id?: string;
      readonly under?: readonly string[];
    } = {},
  ): Promise<{ container: Container; result: CommandResult }> {
    const bundle = options.bundle ?? this.bundle(options);
    const id = options.id ?? this.id();
    const pidFile = this.fresh('pid');
    const { under = [] } = options;
    const result = await this.cli(['create', '--bundle', bundle, '--pid-file', pidFile, id], { cwd: bundle, under });
    return { container: new Container(this, { id, bundle, pidFile, result }), result };
  }

  /** A started container. */
  async start(options: BundleOptions = {}): Promise<Container> {
    const container = await this.create(options);
    await container.start();
    return container;
  }

  /** Runs a script in a container until it ends and returns what it wrote on standard output, trimmed. */
  async observe(script: string, change?: (config: BaseConfig, rootfs: string) => void): Promise<string> {
    const container = await this.start({ script, ...(change === undefined ? {} : { change }) });
    await container.waitForEnd();
    return container.output().trim();
  }

  /** Expects that create, or start where `at` says so, is an error, and that create leaves no container then. */
  async refuses(
    what: string,
    change: (config: BaseConfig, rootfs: string) => void,
    { at = 'create' }: { readonly at?: 'create' | 'create or start' } = {},
  ): Promise<void> {
    const { container, result } = await this.tryCreate({ change });
    if (result.code !== 0) return this.#expectNone(container);
    if (at === 'create') throw new Failure(what, { wanted: 'an error of create', found: 'create succeeds' });
    if ((await this.cli(['start', container.id])).code === 0)
      throw new Failure(what, { wanted: 'an error of create or start', found: 'both succeed' });
  }

  async #expectNone({ id }: Container): Promise<void> {
    const { code, stdout } = await this.cli(['state', id]);
    if (code === 0) throw new Failure('create fails and leaves a container', { wanted: 'none', found: stdout });
  }

  /** Deletes what was made; whatever else is left ends with the worker. */
  async finish(): Promise<void> {
    for (const id of this.#ids)
      if (existsSync(path.join(this.root, id)))
        await this.host([...this.runtime, '--root', this.root, 'delete', '--force', id]);
    for (const child of this.#background) child.kill('SIGKILL');
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const below = mounts
      .map((line) => line.split(' ')[4] ?? '')
      .filter((place) => place.startsWith(`${this.directory}/`));
    for (const place of below.reverse()) await this.host(['umount', '-l', place]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface ContainerParts {
  readonly id: string;
  readonly bundle: string;
  readonly pidFile: string;
  readonly result: CommandResult;
}

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly output: () => string;
  readonly #c: Case;
  readonly #pidFile: string;

  constructor(c: Case, { id, bundle, pidFile, result }: ContainerParts) {
    this.#c = c;
    this.id = id;
    this.bundle = bundle;
    this.#pidFile = pidFile;
    this.output = result.output;
  }

  get pid(): number {
    return Number(readFileSync(this.#pidFile, 'utf8'));
  }

  async start(): Promise<void> {
    await this.do('start', this.id);
  }

  async kill(signal: string): Promise<void> {
    await this.do('kill', this.id, signal);
  }

  async delete(...flags: readonly string[]): Promise<void> {
    await this.do('delete', ...flags, this.id);
  }

  async state(): Promise<State> {
    return JSON.parse(await this.do('state', this.id)) as State;
  }

  /** A command of the runtime that has to succeed; its standard output. */
  async do(command: string, ...args: readonly string[]): Promise<string> {
    const result = await this.#c.cli([command, ...args]);
    if (result.code !== 0) throw new Failure(`${command} fails`, { wanted: 'exit code 0', found: told(result) });
    return result.stdout;
  }

  /** Waits until the process has ended; it may still be a zombie. */
  async waitForEnd(): Promise<void> {
    const { pid } = this;
    await waitUntil(
      () => hasEnded(pid),
      `the process ${pid} of the container does not end`,
      () => this.output(),
    );
  }

  /** Waits for text on the container's standard output. */
  async waitForOutput(text: string): Promise<void> {
    await waitUntil(
      () => this.output().includes(text),
      `the container does not write ${text}`,
      () => this.output(),
    );
  }

  /** Waits until the state says so: a runtime may need a moment to see that a process has ended. */
  async waitForStatus(wanted: string): Promise<void> {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const { status } = await this.state();
      if (status === wanted) return;
      if (Date.now() > end) throw new Failure('the status', { wanted, found: status });
      await sleep(POLL_MS);
    }
  }
}

const WAIT_MS = 30_000;

export async function waitUntil(isSo: () => boolean, what: string, found: () => string): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!isSo()) {
    if (Date.now() > end) throw new Failure(what, { wanted: `within ${WAIT_MS} ms`, found: found() });
    await sleep(POLL_MS);
  }
}

/** Whether a process is gone or a zombie. */
export function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return true;
  }
}

function told({ code, stderr }: CommandResult): string {
  return `exit code ${code}: ${stderr.trim()}`;
}
