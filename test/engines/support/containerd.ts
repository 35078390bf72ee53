import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandOptions, CommandResult } from '../../live/support/command.ts';
import { expectSuccess } from '../../live/support/rig.ts';
import { isSystemdManager } from './cgroup-view.ts';
import { Daemon } from './daemon.ts';
import { IMAGE, writeImage } from './image.ts';
import { newerPrograms } from './newer-programs.ts';
import { listRuntimes, type Runtime } from './runtimes.ts';
import type { Surroundings } from './surroundings.ts';
import { underTerminal, type TerminalOptions } from './terminal.ts';

/** Plug-ins that look for devices, file systems or a network of the host that no test uses. */
const DISABLED = [
  'io.containerd.cri.v1.images',
  'io.containerd.cri.v1.runtime',
  'io.containerd.grpc.v1.cri',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.tracing',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.tracing.processor.v1.otlp',
];

/** What has to be on the host. */
export const CONTAINERD_TOOLS: readonly string[] = ['containerd', 'containerd-shim-runc-v2', 'ctr'];

const RUNC_SHIM = 'containerd-shim-runc-v2';

/** Where containerd's shim lets a runtime keep its state, unless it is told another place. */
export const RUNTIME_ROOT = '/run/containerd/runc';

/** Where the shim of tsrun keeps the state of its containers. */
export const SHIM_ROOT = '/run/containerd/tsrun';

/**
 * A shell's child is killed for want of memory, and the shell ends with 137. The seconds are for the shim: it begins to watch the
 * cgroup after `start` has returned, and says nothing of a cgroup that is gone; engines ignore what they hear after the exit.
 */
export const HUNGRY = 'sleep 1; tail /dev/zero; code=$?; sleep 1; exit $code';

/** What a containerd has beyond what `ctr` needs of it. */
export interface Additions {
  /** Where it listens; both sides see it in a directory that both have. */
  readonly address?: string;
  /** Of those that are off otherwise. */
  readonly plugins?: readonly string[];
  /** Lines of its configuration. */
  readonly config?: readonly string[];
  /** Name in its PATH -> file. */
  readonly programs?: Readonly<Record<string, string>>;
}

/** containerd inside surroundings, and the runtime that its containers are run by. */
export class Containerd {
  readonly address: string;
  readonly inside: Surroundings;
  readonly runtime: Runtime;
  daemon: Daemon;
  readonly #startDaemon: () => Daemon;
  readonly #shimConfig: string;

  private constructor(inside: Surroundings, runtime: Runtime, additions: Additions) {
    this.inside = inside;
    this.runtime = runtime;
    this.address = additions.address ?? `/run/containerd-${runtime.name}.sock`;
    this.#shimConfig = inside.fresh('shim.json');
    writeFileSync(this.#shimConfig, JSON.stringify({ SystemdCgroup: isSystemdManager }));
    const config = inside.fresh('containerd.toml');
    writeFileSync(config, configText(this.address, runtime.name, additions));
    // Where the shim is not told of a binary it takes the first runc in the daemon's PATH.
    const programs = inside.fresh('programs');
    mkdirSync(programs);
    // docker before 23 has no other way to another shim.
    if (runtime.isShim !== true) symlinkSync(runtime.path, `${programs}/runc`);
    else if (newerPrograms === undefined) symlinkSync(runtime.path, `${programs}/${RUNC_SHIM}`);
    for (const [name, file] of Object.entries(additions.programs ?? {})) symlinkSync(file, `${programs}/${name}`);
    const PATH = `${programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const env = { PATH, ...runtime.environment };
    this.#startDaemon = () => new Daemon(inside, 'containerd', ['containerd', '--config', config], env);
    this.daemon = this.#startDaemon();
  }

  static async start(inside: Surroundings, runtime: Runtime, additions: Additions = {}): Promise<Containerd> {
    const started = new Containerd(inside, runtime, additions);
    await started.daemon.untilAnswer(started.argv(['version']));
    return started;
  }

  /** Ends containerd and starts it again, with `between` in between. */
  async restart(
    t: Test,
    between: () => Promise<void> = () => Promise.resolve(),
    signal: 'TERM' | 'KILL' = 'TERM',
  ): Promise<void> {
    await this.daemon.stop(t, signal);
    await between();
    this.daemon = this.#startDaemon();
    await this.daemon.untilAnswer(this.argv(['version']));
  }

  async ctr(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.inside.run(this.argv(args), options);
  }

  /** Standard output of a `ctr` that has to succeed, trimmed. */
  async output(t: Test, args: readonly string[]): Promise<string> {
    const result = await this.ctr(args);
    expectSuccess(t, result, `ctr ${args.join(' ')}`);
    return result.stdout.trim();
  }

  /** `ctr run` of the image, with `flags` between. A command that is a string is for `sh -c`. */
  async run(
    flags: readonly string[],
    id: string,
    command: string | readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    return this.ctr(this.runArgs(flags, id, command), options);
  }

  /** `ctr` under a terminal; what the terminal shows is the result's standard output. */
  async underTerminal(args: readonly string[], options: TerminalOptions): Promise<CommandResult> {
    return underTerminal(this.inside, this.argv(args), options);
  }

  runArgs(flags: readonly string[], id: string, command: string | readonly string[]): string[] {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    const { path, isShim } = this.runtime;
    const runtime = [isShim === true ? '--runtime' : '--runc-binary', path];
    return ['run', ...runtime, ...this.#cgroupFlags(flags, id), ...flags, IMAGE, id, ...argv];
  }

  /** ctr has to be told of systemd, and of a name of its kind. */
  #cgroupFlags(flags: readonly string[], id: string): string[] {
    if (!isSystemdManager) return [];
    const manager =
      this.runtime.isShim === true ? ['--runtime-config-path', this.#shimConfig] : ['--runc-systemd-cgroup'];
    return [...manager, ...(flags.includes('--cgroup') ? [] : ['--cgroup', `system.slice:tsrun:${id}`])];
  }

  /** A container that runs until it is killed. */
  async sleeper(t: Test, id: string, flags: readonly string[] = []): Promise<void> {
    expectSuccess(t, await this.run(['--detach', '--null-io', ...flags], id, ['sleep', '1000']), 'ctr run --detach');
  }

  /** Kills the task of a container and deletes both; the result's code is what `task delete` makes of the exit code. */
  async remove(t: Test, id: string): Promise<CommandResult> {
    await this.ctr(['task', 'kill', '--signal', 'SIGKILL', id]);
    await this.untilStatus(t, id, 'STOPPED');
    const deleted = await this.ctr(['task', 'delete', id]);
    expectSuccess(t, await this.ctr(['container', 'delete', id]), 'ctr container delete');
    return deleted;
  }

  /** Status of a container's task, such as `RUNNING`; empty if it has none. */
  async status(id: string): Promise<string> {
    return (await this.#task(id))[2] ?? '';
  }

  /** Number of its process inside the surroundings. */
  async pid(id: string): Promise<number> {
    return Number((await this.#task(id))[1]);
  }

  async untilStatus(t: Test, id: string, wanted: string): Promise<void> {
    const end = Date.now() + 20_000;
    let status = await this.status(id);
    while (status !== wanted && Date.now() < end) status = await this.status(id);
    t.equal(status, wanted, `status of ${id}`);
  }

  async #task(id: string): Promise<string[]> {
    const { stdout } = await this.ctr(['task', 'list']);
    const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
    return rows.find(([name]) => name === id) ?? [];
  }

  argv(args: readonly string[]): string[] {
    return ['ctr', '--address', this.address, ...args];
  }
}

/** A group of tests for each runtime, with a containerd that knows the image; it ends with them. */
export async function withEachRuntime(
  t: Test,
  inside: Surroundings,
  body: (t: Test, containerd: Containerd) => Promise<void>,
  runtimes: (inside: Surroundings) => readonly Runtime[] = listRuntimes,
): Promise<void> {
  const archive = inside.path('image.tar');
  writeImage(archive);
  for (const runtime of runtimes(inside)) {
    await t.test(`containerd with ${runtime.name}`, async (t) => {
      t.setTimeout(0);
      const containerd = await Containerd.start(inside, runtime);
      try {
        await containerd.output(t, ['images', 'import', archive]);
        t.match(await containerd.output(t, ['images', 'list', '--quiet']), IMAGE);
        await body(t, containerd);
      } finally {
        await containerd.daemon.stop(t);
      }
    });
  }
}

/** Text of a config: version 2, state below /run, data below /var/lib/containerd, no plug-in that is not needed. */
function configText(address: string, name: string, { plugins = [], config = [] }: Additions): string {
  const disabled = DISABLED.filter((plugin) => !plugins.includes(plugin));
  return [
    `version = ${newerPrograms === undefined ? 2 : 3}`,
    `root = "/var/lib/containerd/${name}"`,
    `state = "/run/containerd-${name}"`,
    `disabled_plugins = ${JSON.stringify(disabled)}`,
    '[grpc]',
    `address = ${JSON.stringify(address)}`,
    '[debug]',
    'level = "info"',
    ...config,
    '',
  ].join('\n');
}
