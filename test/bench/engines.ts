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
  /** One for each column, unless there is a reason. */
  readonly cells: readonly Cell[];
  /** What the planner served in the counted rounds, for the warm cell alone. */
  readonly served?: Served;
  /** Why there are no cells. */
  readonly reason?: string;
}

/** What is compared; those of tsrun come first, and their names begin with it. */
export interface Column {
  readonly name: string;
  /** What containers are run by; missing where it is not installed. */
  readonly file: string | undefined;
  /** The planner may be asked. */
  readonly warm: boolean;
}

/** A table: every command with everything that is compared. */
export interface Bench {
  readonly columns: readonly Column[];
  readonly engines: readonly Engine[];
}

/** Of one engine; a slow machine gets fewer rounds. Surroundings live longer. */
const TIME_LIMIT_MS = 600_000;
/** What it may take beyond: the warm-up, and a last round. */
const GRACE_MS = 300_000;
/** Taken away inside: crun refuses a hybrid layout. */
const UNIFIED = '/sys/fs/cgroup/unified';

/** An engine that is ready. */
export interface Started {
  readonly callOf: (column: Column & { readonly file: string }) => Omit<Call, 'warm'>;
  readonly stop?: () => Promise<void>;
}

/** What a row is about. */
export interface Engine {
  readonly command: string;
  readonly tools: readonly string[];
  readonly files?: readonly string[];
  readonly version: readonly string[];
  /** Starts what it needs for the columns that are installed, and gives it the image. */
  readonly start: (inside: Surroundings, columns: readonly Column[]) => Promise<Started>;
}

const COLUMNS: readonly Column[] = [
  { name: 'tsrun, warm', file: executable, warm: true },
  { name: 'tsrun', file: executable, warm: false },
  { name: 'runc', file: findTool('runc'), warm: false },
  { name: 'crun', file: findTool('crun'), warm: false },
];

const ENGINES: readonly Engine[] = [
  {
    command: 'podman run --rm IMAGE true',
    tools: ['podman', 'conmon'],
    version: ['podman', '--version'],
    async start(inside, columns) {
      await preparePodman(inside);
      const runtimes = listRuntimes(columns);
      const podmans = new Map(runtimes.map((runtime) => [runtime.path, new Podman(inside, runtime)]));
      const env = (runtime: Runtime): Record<string, string> => podmans.get(runtime.path)?.environment() ?? {};
      await inside.output(['podman', 'load', '--input', inside.path('image.tar')], { env: env(runtimes[0]) });
      return {
        // The path, since the name is that of a script which notes the calls.
        callOf: ({ file }) => ({
          argv: ['podman', '--runtime', file, 'run', '--rm', IMAGE, 'true'],
          env: env(toRuntime(file)),
        }),
      };
    },
  },
  {
    command: 'ctr run --rm IMAGE id true',
    tools: CONTAINERD_TOOLS,
    version: ['containerd', '--version'],
    async start(inside, columns) {
      const containerd = await Containerd.start(inside, listRuntimes(columns)[0]);
      writeImage(inside.path('image.tar'));
      await inside.output(containerd.argv(['images', 'import', inside.path('image.tar')]));
      return {
        callOf: ({ file }) => ({
          argv: containerd.argv([
            'run',
            '--rm',
            '--runc-binary',
            file,
            IMAGE,
            `tsrun-bench-${path.basename(file)}`,
            'true',
          ]),
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
    async start(inside, columns) {
      const runtimes = listRuntimes(columns);
      // "runc" is a name that dockerd keeps for whatever has this name in its PATH.
      const nameOf = ({ name }: Runtime): string => `bench-${name}`;
      const others = runtimes.map((runtime) => ({ ...runtime, name: nameOf(runtime) }));
      const docker = await Dockerd.start(new Complaints(), inside, runtimes[0], others);
      writeImage(inside.path('image.tar'));
      await inside.output(docker.argv(['load', '--input', inside.path('image.tar')]));
      return {
        callOf: ({ file }) => ({
          argv: docker.argv(['run', '--rm', '--runtime', nameOf(toRuntime(file)), IMAGE, 'true']),
        }),
        stop: async () => docker.stop(new Complaints()),
      };
    },
  },
];

/** Commands of engines, which call a command. */
export const COMMAND_BENCH: Bench = { columns: COLUMNS, engines: ENGINES };

/** Prints what daemons do wrong. */
export class Complaints implements Listener {
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

/** How it is measured. */
export interface Settings {
  readonly rounds: number;
  /** Rows whose command has this in it; empty: all. */
  readonly only: string;
  /** Script that exports `Pods`. */
  readonly podsScript: string;
}

/** Measures every engine that can run here, one after the other; throws where something is left of one. */
export async function measureEngines({ columns, engines }: Bench, settings: Settings): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const engine of engines.filter(({ command }) => command.includes(settings.only))) {
    console.error(`tsrun: ${engine.command}`);
    const { command, tools, files = [] } = engine;
    const reason = reasonAgainst(tools, files);
    rows.push(reason === false ? await withSurroundings(engine, columns, settings) : { command, cells: [], reason });
  }
  return rows;
}

async function withSurroundings(engine: Engine, columns: readonly Column[], settings: Settings): Promise<Row> {
  const inside = await Surroundings.make();
  try {
    return await measureEngine(engine, { inside, columns, settings });
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
  {
    inside,
    columns,
    settings: { rounds, podsScript },
  }: { readonly inside: Surroundings; readonly columns: readonly Column[]; readonly settings: Settings },
): Promise<Row> {
  await inside.output(['sh', '-c', 'if mountpoint -q "$1"; then umount "$1"; fi', 'sh', UNIFIED]);
  const installed = columns.flatMap(({ file, ...column }) => (file === undefined ? [] : [{ file, ...column }]));
  const { callOf, stop } = await start(inside, installed);
  try {
    const calls = installed.map((column): Call => ({ ...callOf(column), warm: column.warm }));
    const { cells, ...served } = await measureInside(inside, { calls, rounds, podsScript, limitMs: TIME_LIMIT_MS });
    const measured = [...cells];
    return {
      command,
      version: (await inside.output(version)).trim(),
      cells: columns.map(({ file }) => (file === undefined ? undefined : measured.shift()) ?? NOT_INSTALLED),
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

/** Each command once, tsrun first. */
function listRuntimes(columns: readonly Column[]): [Runtime, ...Runtime[]] {
  const others = new Set(columns.flatMap(({ file }) => file ?? []));
  others.delete(executable);
  return [toRuntime(executable), ...[...others].map(toRuntime)];
}

function toRuntime(file: string): Runtime {
  return { name: path.basename(file), path: file };
}
