import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandOptions, CommandResult } from '../../live/support/command.ts';
import { expectSuccess } from '../../live/support/rig.ts';
import { isSystemdManager } from './cgroup-view.ts';
import { Containerd, CONTAINERD_TOOLS } from './containerd.ts';
import { Daemon, type Listener } from './daemon.ts';
import { IMAGE, writeImage } from './image.ts';
import { listRuntimes, type Runtime } from './runtimes.ts';
import { newerPrograms } from './newer-programs.ts';
import type { Surroundings } from './surroundings.ts';
import { underTerminal, type TerminalOptions } from './terminal.ts';

/** The client is named by its path: other clients may have the name too. */
const DOCKER = newerPrograms === undefined ? '/usr/bin/docker' : `${newerPrograms}/docker`;
const DOCKERD = newerPrograms === undefined ? '/usr/sbin/dockerd' : `${newerPrograms}/dockerd`;

/** What has to be on the host. */
export const DOCKER_FILES: readonly string[] = [DOCKER, DOCKERD];
export const DOCKER_TOOLS: readonly string[] = [...CONTAINERD_TOOLS, 'docker-init', 'iptables', 'script'];

/** Name of the runtime in docker's config. */
export const RUNTIME_NAME = 'tested';

/** dockerd inside surroundings, with a containerd of its own and the runtime as its default one; it may know others by their names. */
export class Dockerd {
  readonly inside: Surroundings;
  readonly runtime: Runtime;
  readonly #host: string;
  readonly #containerd: Containerd;
  readonly #daemon: Daemon;

  private constructor(
    inside: Surroundings,
    runtime: Runtime,
    { containerd, others }: { readonly containerd: Containerd; readonly others: readonly Runtime[] },
  ) {
    this.inside = inside;
    this.runtime = runtime;
    this.#containerd = containerd;
    this.#host = `unix:///run/docker-${runtime.name}.sock`;
    const config = inside.fresh('daemon.json');
    writeFileSync(
      config,
      JSON.stringify(makeConfig(runtime, { host: this.#host, containerd: containerd.address, others })),
    );
    this.#daemon = new Daemon(inside, 'dockerd', [DOCKERD, '--config-file', config]);
  }

  static async start(
    t: Listener,
    inside: Surroundings,
    runtime: Runtime,
    others: readonly Runtime[] = [],
  ): Promise<Dockerd> {
    const containerd = await Containerd.start(inside, runtime);
    const started = new Dockerd(inside, runtime, { containerd, others });
    try {
      await started.#daemon.untilAnswer(started.argv(['version']));
    } catch (error) {
      await containerd.daemon.stop(t);
      throw error;
    }
    return started;
  }

  async stop(t: Listener): Promise<void> {
    await this.#daemon.stop(t);
    await this.#containerd.daemon.stop(t);
  }

  async docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.inside.run(this.argv(args), options);
  }

  /** Standard output of a `docker` that has to succeed, trimmed. */
  async output(t: Test, args: readonly string[]): Promise<string> {
    const result = await this.docker(args);
    expectSuccess(t, result, `docker ${args.join(' ')}`);
    return result.stdout.trim();
  }

  /** `docker run --rm` of the image, with `flags` between. A command that is a string is for `sh -c`. */
  async run(
    flags: readonly string[],
    command: string | readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    return this.docker(runArgs(['--rm', ...flags], command), options);
  }

  /** Standard output of `run`, trimmed; the test fails unless it went well. */
  async runOutput(t: Test, flags: readonly string[], command: string | readonly string[]): Promise<string> {
    return this.output(t, runArgs(['--rm', ...flags], command));
  }

  /** A container in the background; by default one that sleeps until it is killed. */
  async start(
    t: Test,
    name: string,
    flags: readonly string[] = [],
    command: string | readonly string[] = ['sleep', '1000'],
  ): Promise<void> {
    await this.output(t, runArgs(['--detach', '--name', name, ...flags], command));
  }

  /** `docker` under a terminal; what the terminal shows is the result's standard output. */
  async underTerminal(args: readonly string[], options: TerminalOptions): Promise<CommandResult> {
    return underTerminal(this.inside, this.argv(args), options);
  }

  /** A part of what `docker inspect` says, such as `.State.Status`. */
  async inspect(name: string, part: string): Promise<string> {
    return (await this.docker(['inspect', '--format', `{{${part}}}`, name])).stdout.trim();
  }

  async remove(t: Test, ...names: readonly string[]): Promise<void> {
    await this.output(t, ['rm', '--force', '--volumes', ...names]);
  }

  argv(args: readonly string[]): string[] {
    return [DOCKER, '--host', this.#host, ...args];
  }
}

/** Arguments of `docker run` of the image. */
export function runArgs(flags: readonly string[], command: string | readonly string[]): string[] {
  return ['run', ...flags, IMAGE, ...(typeof command === 'string' ? ['sh', '-c', command] : command)];
}

/** A group of tests for each runtime, with a dockerd that knows the image; it ends with them. */
export async function withEachDocker(
  t: Test,
  inside: Surroundings,
  body: (t: Test, docker: Dockerd) => Promise<void>,
  runtimes: (inside: Surroundings) => readonly Runtime[] = listRuntimes,
): Promise<void> {
  const archive = inside.path('image.tar');
  writeImage(archive);
  for (const runtime of runtimes(inside)) {
    await t.test(`docker with ${runtime.name}`, async (t) => {
      t.setTimeout(0);
      const docker = await Dockerd.start(t, inside, runtime);
      try {
        t.match(await docker.output(t, ['load', '--input', archive]), IMAGE);
        t.equal(await docker.output(t, ['info', '--format', '{{.DefaultRuntime}}']), RUNTIME_NAME);
        await body(t, docker);
      } finally {
        await docker.stop(t);
      }
    });
  }
}

function makeConfig(
  runtime: Runtime,
  {
    host,
    containerd,
    others,
  }: { readonly host: string; readonly containerd: string; readonly others: readonly Runtime[] },
): object {
  return {
    hosts: [host],
    containerd,
    pidfile: `/run/docker-${runtime.name}.pid`,
    'exec-root': `/run/docker-${runtime.name}`,
    'data-root': `/var/lib/docker/${runtime.name}`,
    'storage-driver': 'overlay2',
    'exec-opts': [`native.cgroupdriver=${isSystemdManager ? 'systemd' : 'cgroupfs'}`],
    // Not above those of the daemon: that takes a capability which not every root has.
    'default-ulimits': { nofile: { Name: 'nofile', Soft: 1024, Hard: 2048 } },
    'userland-proxy': false,
    runtimes: {
      ...Object.fromEntries(others.map(({ name, path }) => [name, { path }])),
      // docker from 23 on takes a shim for a runtime, and before calls runc's only (see Containerd).
      [RUNTIME_NAME]:
        runtime.isShim === true && newerPrograms !== undefined ? { runtimeType: runtime.path } : { path: runtime.path },
    },
    'default-runtime': RUNTIME_NAME,
  };
}
