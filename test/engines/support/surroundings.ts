import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import {
  startCommand,
  type CommandOptions,
  type CommandResult,
  type RunningCommand,
} from '../../live/support/command.ts';
import {
  ENGINE,
  ENGINES,
  recordReport,
  wantedPlanner,
  type PlannerEngine,
  type PlannerReport,
} from '../../live/support/planner.ts';
import { newerPrograms, withNewer } from './newer-programs.ts';
import { missingTools, reasonToSkip, slowness } from '../../live/support/surroundings.ts';

const top = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
const script = path.join(top, 'test/engines/support/surroundings.sh');

/** Nothing stays longer, even if the tests hang: they are killed by then. */
const LIFE_SECONDS = 1200;
const COMMAND_TIMEOUT_MS = 60_000;

/** The machine is there for these tests alone, such as that of test/vm: what they do to it, they do to it. */
const isWholeMachine = process.env.TSRUN_TEST_WHOLE_MACHINE !== undefined;
const [HOLD, ENTER] = isWholeMachine ? ['hold_machine', 'enter_machine'] : ['hold', 'enter'];

/**
 * A machine within the machine, for one test file: mount, pid, network, ipc, uts and cgroup namespaces of their own; empty
 * /run, /tmp and /var/lib/{containers,docker,containerd,cni}; /etc and the rest of /var/lib whose changes stay inside; cgroups below
 * one of its own in each hierarchy, which looks like the root from inside.
 *
 * All of it ends with `leave`, and likewise when the process of the tests ends in any other way: a supervisor waits for that.
 */
export class Surroundings {
  /** Below the temporary directory, and the same inside as outside. */
  readonly directory = mkdtempSync(path.join(tmpdir(), 'tsrun-engines-'));
  readonly #supervisor: ChildProcess;
  readonly #messages: Buffer[] = [];
  #count = 0;

  private constructor() {
    chmodSync(this.directory, 0o755);
    for (const name of ['output', 'home']) mkdirSync(this.path(name));
    const args = [HOLD, this.directory, path.basename(this.directory), `${LIFE_SECONDS * slowness}`, top];
    this.#supervisor = spawn('sh', [script, ...args], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#supervisor.stderr?.on('data', (bytes: Buffer) => this.#messages.push(bytes));
  }

  static async make(): Promise<Surroundings> {
    const made = new Surroundings();
    try {
      await made.#untilReady();
    } catch (error) {
      await made.leave();
      throw error;
    }
    return made;
  }

  /** A path in the directory that both sides see. */
  path(...parts: readonly string[]): string {
    return path.join(this.directory, ...parts);
  }

  /** A path like it that nobody else uses. */
  fresh(name: string): string {
    this.#count += 1;
    return this.path(`${name}-${this.#count}`);
  }

  /** Starts a command inside without waiting for it. `pid` is that of its helper outside. */
  start(argv: readonly string[], options: CommandOptions = {}): RunningCommand {
    const { env, cwd = '/', ...others } = options;
    const newer = newerPrograms === undefined ? {} : { PATH: withNewer(env?.['PATH']) };
    return startCommand(['sh', script, ENTER, this.directory, cwd, ...argv], {
      timeoutMs: COMMAND_TIMEOUT_MS,
      ...others,
      env: { HOME: this.path('home'), ...env, ...newer },
      outputBase: this.fresh('output/command'),
    });
  }

  async run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.start(argv, options).done;
  }

  /** Standard output of a command that has to succeed, whoever asks. */
  async output(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}: ${stderr.trim()}`);
    return stdout;
  }

  /** Kills every process inside, and takes cgroups, mounts and the directory away. */
  async leave(): Promise<void> {
    const ended = this.#hasEnded() ? undefined : once(this.#supervisor, 'close');
    this.#supervisor.stdin?.end();
    await ended;
  }

  async #untilReady(): Promise<void> {
    const { stdout } = this.#supervisor;
    if (stdout === null) throw new Error('the supervisor has no standard output');
    for await (const bytes of stdout) {
      if (String(bytes).includes('ready')) return;
    }
    throw new Error(`surroundings for engines: ${Buffer.concat(this.#messages).toString()}`);
  }

  #hasEnded(): boolean {
    return this.#supervisor.exitCode !== null || this.#supervisor.signalCode !== null;
  }
}

/** A group of tests in surroundings of their own; skipped with the reason where they cannot run. */
export function engines(
  topic: string,
  { tools, files = [] }: { readonly tools: readonly string[]; readonly files?: readonly string[] },
  body: (t: Test, surroundings: Surroundings) => Promise<void>,
): void {
  void t.test(topic, { skip: reasonAgainst(tools, files) }, async (t) => {
    t.setTimeout(0);
    const surroundings = await Surroundings.make();
    const planner = wantedPlanner === undefined ? undefined : await startPlanner(surroundings, wantedPlanner);
    try {
      await body(t, surroundings);
    } finally {
      await planner?.finish(t);
      await surroundings.leave();
      t.notOk(existsSync(surroundings.directory), 'nothing is left of the surroundings');
    }
  });
}

/** A planner inside, which has to have said nothing in the end. */
async function startPlanner(
  surroundings: Surroundings,
  engine: PlannerEngine,
): Promise<{ readonly finish: (t: Test) => Promise<void> }> {
  const running = surroundings.start([...ENGINES[engine], 'planner'], { timeoutMs: LIFE_SECONDS * 1000 });
  const ask = (question: string): Promise<CommandResult> => surroundings.run([ENGINE, 'planner', question]);
  while ((await ask('status')).code !== 0);
  return {
    async finish(t) {
      const { stdout } = await ask('status');
      recordReport(JSON.parse(stdout) as PlannerReport);
      await ask('stop');
      t.equal((await running.done).stderr, '', 'the planner has nothing to complain of');
    },
  };
}

/** Why no engine that needs these can run in surroundings here; false when it can. */
export function reasonAgainst(tools: readonly string[], files: readonly string[] = []): string | false {
  const missing = files.find((file) => !existsSync(file));
  return (
    reasonToSkip() ||
    (!isWholeMachine && !hasVersion1() && 'the surroundings are made of cgroup v1 hierarchies; this host has none') ||
    missingTools(...tools, 'unshare', 'nsenter', 'setpriv', 'ip') ||
    (missing !== undefined && `needs ${missing} on the host`)
  );
}

function hasVersion1(): boolean {
  return /^\d+:[^:]*\b(memory|pids|freezer)\b/m.test(readFileSync('/proc/self/cgroup', 'utf8'));
}
