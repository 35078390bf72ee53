/** `npm run bench -- --engines`: commands of engines end to end, each engine in surroundings of its own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { executable, top } from '../../bundles/ready.mjs';
import { Containerd, CONTAINERD_TOOLS } from '../engines/support/containerd.ts';
import type { Listener } from '../engines/support/daemon.ts';
import { DOCKER_FILES, DOCKER_TOOLS, Dockerd } from '../engines/support/dockerd.ts';
import { IMAGE, writeImage } from '../engines/support/image.ts';
import { Podman, preparePodman } from '../engines/support/podman.ts';
import type { Runtime } from '../engines/support/runtimes.ts';
import { reasonAgainst, Surroundings } from '../engines/support/surroundings.ts';
import { findCgroups } from '../live/support/leftovers.ts';
import { findTool } from '../live/support/surroundings.ts';
import type { Call, Cell, Job, Result, Served } from './engine-rounds.mjs';

/** A row of the table. */
export interface Row {
  /** The command as a person types it. */
  readonly command: string;
  /** What the engine says of itself. */
  readonly version?: string;
  /** One for each of COLUMNS, unless there is a reason. */
  readonly cells: readonly Cell[];
  /** What the planner served in the counted rounds, for the warm cell alone. */
  readonly served?: Served;
  /** Why there are no cells. */
  readonly reason?: string;
}

/** The runtimes; those of tsrun come first. `file` is missing where one is not installed. */
export const COLUMNS: readonly { readonly name: string; readonly file: string | undefined; readonly warm: boolean }[] =
  [
    { name: 'tsrun, warm', file: executable, warm: true },
    { name: 'tsrun', file: executable, warm: false },
    { name: 'runc', file: findTool('runc'), warm: false },
    { name: 'crun', file: findTool('crun'), warm: false },
  ];

/** Of one engine; a slow machine gets fewer rounds. Surroundings live longer. */
const TIME_LIMIT_MS = 600_000;
/** What it may take beyond: the warm-up, and a last round. */
const GRACE_MS = 300_000;
/** Taken away inside: crun refuses a hybrid layout. */
export const UNIFIED = '/sys/fs/cgroup/unified';

type CallOf = (runtime: Runtime) => Pick<Call, 'argv'> & Partial<Call>;

interface Engine {
  readonly command: string;
  readonly tools: readonly string[];
  readonly files?: readonly string[];
  readonly version: readonly string[];
  /** Starts what it needs, and gives it the image. */
  readonly start: (
    inside: Surroundings,
    runtimes: readonly [Runtime, ...Runtime[]],
  ) => Promise<{ readonly callOf: CallOf; readonly stop?: () => Promise<void> }>;
}

const ENGINES: readonly Engine[] = [
  {
    command: 'podman run --rm IMAGE true',
    tools: ['podman', 'conmon'],
    version: ['podman', '--version'],
    async start(inside, runtimes) {
      await preparePodman(inside);
      const podmans = new Map(runtimes.map((runtime) => [runtime.path, new Podman(inside, runtime)]));
      const env = (runtime: Runtime): Record<string, string> => podmans.get(runtime.path)?.environment() ?? {};
      await inside.output(['podman', 'load', '--input', inside.path('image.tar')], { env: env(runtimes[0]) });
      return {
        // The path, since the name is that of a script which notes the calls.
        callOf: (runtime) => ({
          argv: ['podman', '--runtime', runtime.path, 'run', '--rm', IMAGE, 'true'],
          env: env(runtime),
        }),
      };
    },
  },
  {
    command: 'ctr run --rm IMAGE id true',
    tools: CONTAINERD_TOOLS,
    version: ['containerd', '--version'],
    async start(inside, runtimes) {
      const containerd = await Containerd.start(inside, runtimes[0]);
      writeImage(inside.path('image.tar'));
      await inside.output(containerd.argv(['images', 'import', inside.path('image.tar')]));
      return {
        callOf: ({ name, path: file }) => ({
          argv: containerd.argv(['run', '--rm', '--runc-binary', file, IMAGE, `tsrun-bench-${name}`, 'true']),
        }),
        stop: async () => containerd.daemon.stop(new Complaints()),
      };
    },
  },
  {
    command: 'docker run --rm IMAGE true',
    tools: DOCKER_TOOLS,
    files: DOCKER_FILES,
    version: ['/usr/sbin/dockerd', '--version'],
    async start(inside, runtimes) {
      // "runc" is a name that dockerd keeps for whatever has this name in its PATH.
      const nameOf = ({ name }: Runtime): string => `bench-${name}`;
      const others = runtimes.map((runtime) => ({ ...runtime, name: nameOf(runtime) }));
      const docker = await Dockerd.start(new Complaints(), inside, runtimes[0], others);
      writeImage(inside.path('image.tar'));
      await inside.output(docker.argv(['load', '--input', inside.path('image.tar')]));
      return {
        callOf: (runtime) => ({ argv: docker.argv(['run', '--rm', '--runtime', nameOf(runtime), IMAGE, 'true']) }),
        stop: async () => docker.stop(new Complaints()),
      };
    },
  },
];

/** Prints what daemons do wrong. */
class Complaints implements Listener {
  #passing = true;

  fail(message: string): void {
    this.#passing = false;
    console.error(`not so: ${message}`);
  }

  passing(): boolean {
    return this.#passing;
  }

  comment(text: string): void {
    console.error(text);
  }
}

/** Measures every engine that can run here, one after the other; throws where something is left of one. */
export async function measureEngines(rounds: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const engine of ENGINES) {
    console.error(`tsrun: ${engine.command}`);
    const { command, tools, files = [] } = engine;
    const reason = reasonAgainst(tools, files);
    rows.push(reason === false ? await withSurroundings(engine, rounds) : { command, cells: [], reason });
  }
  return rows;
}

async function withSurroundings(engine: Engine, rounds: number): Promise<Row> {
  const inside = await Surroundings.make();
  try {
    return await measureEngine(engine, { inside, rounds });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(reason);
    return { command: engine.command, cells: [], reason };
  } finally {
    await inside.leave();
    const left = findCgroups({ prefix: path.basename(inside.directory) });
    if (existsSync(inside.directory)) left.push(inside.directory);
    if (left.length > 0) console.error(`left behind: ${left.join(', ')}`);
    if (left.length > 0) process.exitCode = 1;
  }
}

async function measureEngine(
  { command, version, start }: Engine,
  { inside, rounds }: { readonly inside: Surroundings; readonly rounds: number },
): Promise<Row> {
  await inside.output(['sh', '-c', 'if mountpoint -q "$1"; then umount "$1"; fi', 'sh', UNIFIED]);
  const { callOf, stop } = await start(inside, listInstalled());
  try {
    const calls = COLUMNS.flatMap(({ file, warm }): Call[] =>
      file === undefined ? [] : [{ env: {}, ...callOf(toRuntime(file)), warm }],
    );
    const { cells, ...served } = await measureInside(inside, { calls, rounds, limitMs: TIME_LIMIT_MS });
    const measured = [...cells];
    return {
      command,
      version: (await inside.output(version)).trim(),
      cells: COLUMNS.map(({ file }) => (file === undefined ? undefined : measured.shift()) ?? NOT_INSTALLED),
      ...served,
    };
  } finally {
    await stop?.();
  }
}

const NOT_INSTALLED: Cell = { values: [], cpuMs: [], reason: 'not installed' };

async function measureInside(inside: Surroundings, job: Job): Promise<Result> {
  const [jobFile, resultFile] = [inside.fresh('job'), inside.fresh('result')];
  writeFileSync(jobFile, JSON.stringify(job));
  const argv = [process.execPath, path.join(top, 'test/bench/engine-rounds.mjs'), jobFile, resultFile];
  await inside.output(argv, { timeoutMs: job.limitMs + GRACE_MS });
  return JSON.parse(readFileSync(resultFile, 'utf8')) as Result;
}

/** Each runtime once, tsrun first. */
function listInstalled(): [Runtime, ...Runtime[]] {
  const others = new Set(COLUMNS.flatMap(({ file }) => file ?? []));
  others.delete(executable);
  return [toRuntime(executable), ...[...others].map(toRuntime)];
}

function toRuntime(file: string): Runtime {
  return { name: path.basename(file), path: file };
}
