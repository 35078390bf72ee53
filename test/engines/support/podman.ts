import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandOptions, CommandResult } from '../../live/support/command.ts';
import { expectSuccess } from '../../live/support/rig.ts';
import { isSystemdManager } from './cgroup-view.ts';
import { IMAGE, writeImage } from './image.ts';
import { listRuntimes, type Runtime } from './runtimes.ts';
import { engines, type Surroundings } from './surroundings.ts';

/** Where containers live, and what podman and buildah are told to run them with. */
const STORAGE =
  '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n';
const POLICY = '{ "default": [{ "type": "insecureAcceptAnything" }] }\n';

/** Hard limits that no process of a machine without CAP_SYS_RESOURCE can raise; podman's own defaults are above them. */
const ULIMITS = '["nofile=1024:1024", "nproc=4096:4096"]';

/** podman and buildah as one person uses them, with one runtime. */
export class Podman {
  readonly runtime: Runtime;
  readonly inside: Surroundings;
  readonly #configuration: string;
  readonly #calls: string;
  readonly #under: readonly string[];

  /** `under` is what every command is run under, such as another user. */
  constructor(inside: Surroundings, runtime: Runtime, under: readonly string[] = []) {
    this.inside = inside;
    this.runtime = runtime;
    this.#under = under;
    this.#calls = inside.fresh(`calls-${runtime.name}`);
    writeFileSync(this.#calls, '');
    chmodSync(this.#calls, 0o666);
    this.#configuration = inside.fresh(`containers-${runtime.name}.conf`);
    writeFileSync(this.#configuration, this.#configurationText(this.#makeRecorder()));
  }

  /** A name for a container, pod or image that the other runtime does not use. */
  name(word: string): string {
    return `${this.runtime.name}-${word}`;
  }

  environment(): Record<string, string> {
    return { CONTAINERS_CONF: this.#configuration, TERM: 'dumb' };
  }

  async podman(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.command(['podman', ...args], options);
  }

  async buildah(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.command(['buildah', ...args], options);
  }

  async command(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const env = { ...this.environment(), ...options.env };
    return this.inside.run([...this.#under, ...argv], { ...options, env });
  }

  /** Runs a command with a terminal of 77 columns and 33 rows, and returns what appears on it. */
  async onTerminal(commandLine: string): Promise<CommandResult> {
    return this.command(['script', '-qec', `stty rows 33 cols 77; ${commandLine}`, '/dev/null']);
  }

  /** `podman run --rm` without a network; options and command of a container of the image. */
  async run(options: readonly string[], command: readonly string[] | string): Promise<CommandResult> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    return this.podman(['run', '--rm', ...withoutNetwork(options), ...options, IMAGE, ...argv]);
  }

  /** Output of the same, trimmed; the test fails unless it went well. */
  async output(t: Test, options: readonly string[], command: readonly string[] | string): Promise<string> {
    const result = await this.run(options, command);
    expectSuccess(t, result, 'podman run');
    return result.stdout.trim();
  }

  /** Starts a container that stays and returns its name; it is removed when the test ends. */
  async start(t: Test, word: string, options: readonly string[], command: readonly string[]): Promise<string> {
    const name = this.name(word);
    expectSuccess(
      t,
      await this.podman(['run', '--detach', '--name', name, ...withoutNetwork(options), ...options, IMAGE, ...command]),
    );
    t.teardown(async () => this.podman(['rm', '--force', '--time', '0', '--ignore', name]));
    return name;
  }

  /** One value of `podman inspect`. */
  async inspect(name: string, format: string): Promise<string> {
    return (await this.podman(['inspect', '--format', format, name])).stdout.trim();
  }

  /** Verbs that the runtime was called with so far, in order. */
  calls(): string[] {
    return readFileSync(this.#calls, 'utf8').trim().split('\n');
  }

  /** A program with the runtime's name that notes what it is asked, and becomes the runtime. */
  #makeRecorder(): string {
    const directory = this.inside.fresh('recorder');
    mkdirSync(directory);
    const recorder = `${directory}/${this.runtime.name}`;
    const verbs = 'create|start|exec|kill|delete|state|pause|resume|checkpoint|restore';
    const note = `for word; do case $word in ${verbs}) echo "$word" >>'${this.#calls}'; break;; esac; done`;
    writeFileSync(recorder, `#!/bin/sh\n${note}\nexec '${this.runtime.path}' "$@"\n`);
    chmodSync(recorder, 0o755);
    return recorder;
  }

  #configurationText(recorder: string): string {
    const { name } = this.runtime;
    return [
      '[containers]',
      `default_ulimits = ${ULIMITS}`,
      '[engine]',
      `cgroup_manager = "${isSystemdManager ? 'systemd' : 'cgroupfs'}"`,
      'events_logger = "file"',
      `runtime = "${name}"`,
      `runtime_supports_json = ["${name}"]`,
      '[engine.runtimes]',
      `${name} = ["${recorder}"]`,
      '[network]',
      'network_backend = "cni"',
      '',
    ].join('\n');
  }
}

/** Declares a test once for each runtime. */
export type DeclareCase = (
  title: string,
  body: (t: Test, podman: Podman) => Promise<void>,
  options?: { readonly skip?: string | false },
) => Promise<void>;

/** A group of tests that podman or buildah runs with every runtime, in surroundings with the image in its storage. */
export function podmanTests(
  topic: string,
  options: {
    readonly tools?: readonly string[];
    readonly files?: readonly string[];
    readonly setUp?: readonly string[];
  },
  body: (declare: DeclareCase, t: Test, inside: Surroundings) => Promise<void>,
): void {
  const tools = ['podman', 'conmon', ...(options.tools ?? [])];
  engines(topic, { tools, files: options.files ?? [] }, async (t, inside) => {
    await preparePodman(inside);
    const podmans = listRuntimes(inside).map((runtime) => new Podman(inside, runtime));
    expectSuccess(
      t,
      (await podmans[0]?.podman(['load', '--input', inside.path('image.tar')])) ?? fail(),
      'podman load',
    );
    await body(declareFor(t, podmans), t, inside);
  });
}

/** Tests for each of several. */
export function declareFor(t: Test, podmans: readonly Podman[]): DeclareCase {
  return async (title, body, options = {}) => {
    for (const podman of podmans) {
      await t.test(`${title}, with ${podman.runtime.name}`, options, async (t) => body(t, podman));
    }
  };
}

/** Writes the image, `image.tar`, and what all users of the surroundings read below /etc, which is their own. */
export async function preparePodman(inside: Surroundings): Promise<void> {
  writeImage(inside.path('image.tar'));
  writeFileSync(inside.path('storage.conf'), STORAGE);
  writeFileSync(inside.path('policy.json'), POLICY);
  const directory = '/etc/containers';
  const ids = 'echo containers:1000000:65536 >>';
  const script = `${ids}/etc/subuid; ${ids}/etc/subgid; mkdir -p ${directory}; cp storage.conf policy.json ${directory}; echo >${directory}/registries.conf`;
  await inside.output(['sh', '-ec', script], { cwd: inside.directory });
}

function fail(): never {
  throw new Error('there is no runtime to test with');
}

/** Options for a container that has no network, unless its other options say where it gets one. */
function withoutNetwork(options: readonly string[]): string[] {
  return options.some((option) => ['--network', '--pod'].includes(option)) ? [] : ['--network', 'none'];
}
