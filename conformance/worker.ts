/**
 * Runs the requirements on one runtime: `worker.mjs OPTIONS`, where OPTIONS is the JSON of `WorkerOptions`. It is started in
 * namespaces of its own (harness/run-worker.ts), so that the processes and mounts it leaves end with it. Standard output: one line
 * of JSON for each message.
 */
import { chmodSync, copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Case, type Surroundings } from './harness/case.ts';
import { runCommand } from './harness/command.ts';
import { HIDE_UNIFIED, UNIFIED, WITHOUT_UNIFIED } from './harness/namespaces.ts';
import { outcomeOf, type Requirement, type Result } from './harness/requirement.ts';
import { requirements } from './requirements/index.ts';

export interface WorkerOptions {
  readonly runtime: readonly string[];
  readonly ids: readonly string[];
  readonly jobs: number;
  readonly timeoutMs: number;
  readonly schemas?: string;
  /** For all that is made. Its end, after the last `-`, is part of the ids of containers. */
  readonly directory: string;
}

export type Message =
  | { readonly kind: 'about'; readonly version: string; readonly spec: string; readonly notes: readonly string[] }
  /** A requirement is looked at from now on: where no result follows, the worker was ended meanwhile. */
  | { readonly kind: 'begin'; readonly id: string }
  | { readonly kind: 'result'; readonly result: Result };

const BUSYBOX = '/bin/busybox';

/** What the ids of the containers of a worker begin with, and so the names of their cgroups. */
export function prefixFor(directory: string): string {
  return `tsrun-${directory.split('-').at(-1) ?? ''}`;
}

export async function work(options: WorkerOptions, tell: (message: Message) => void): Promise<void> {
  const { directory } = options;
  const busybox = path.join(directory, 'busybox');
  copyFileSync(BUSYBOX, busybox);
  for (const file of [directory, busybox]) chmodSync(file, 0o755);
  const surroundings: Surroundings = { ...options, prefix: prefixFor(directory), busybox };
  tell({ kind: 'about', ...(await readVersion(surroundings)), notes: await makeUsable(surroundings) });
  const queue = options.ids.flatMap((id) => requirements.filter((requirement) => requirement.id === id));
  const runOn = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      tell({ kind: 'begin', id: next.id });
      tell({ kind: 'result', result: await runRequirement(next, surroundings) });
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, runOn));
}

async function runRequirement(requirement: Requirement, surroundings: Surroundings): Promise<Result> {
  const begin = performance.now();
  const c = new Case(requirement.id, surroundings);
  const outcome = await requirement.run(c).then(() => ({ kind: 'pass' }) as const, outcomeOf);
  await c.finish();
  return { id: requirement.id, outcome, durationMs: performance.now() - begin };
}

/** The first line of `--version`, and the version of the specification that runtimes print in another. */
async function readVersion({ runtime, directory }: Surroundings): Promise<{ version: string; spec: string }> {
  const options = { outputBase: path.join(directory, 'version'), timeoutMs: 30_000 };
  const { stdout } = await runCommand([...runtime, '--version'], options);
  return { version: stdout.trim().split('\n')[0] ?? '', spec: /^spec: (\S+)/m.exec(stdout)?.[1] ?? '' };
}

/** Changes the worker's view of the machine where the runtime cannot make any container in it; returns what it changed. */
async function makeUsable(surroundings: Surroundings): Promise<string[]> {
  if (await canRun('probe-1', surroundings)) return [];
  if (!existsSync(UNIFIED)) return [];
  const options = { outputBase: path.join(surroundings.directory, 'hide'), timeoutMs: 30_000 };
  const { code, stderr } = await runCommand(['sh', '-c', HIDE_UNIFIED], options);
  if (code !== 0) return [`${HIDE_UNIFIED}: ${stderr.trim()}`];
  return [(await canRun('probe-2', surroundings)) ? WITHOUT_UNIFIED : 'it cannot run the simplest container here'];
}

async function canRun(name: string, surroundings: Surroundings): Promise<boolean> {
  const c = new Case(name, surroundings);
  const { result } = await c.tryCreate();
  await c.finish();
  return result.code === 0;
}

const [file, text] = process.argv.slice(1);
if (file !== undefined && text !== undefined && import.meta.url === pathToFileURL(file).href)
  await work(JSON.parse(text) as WorkerOptions, (message) => process.stdout.write(`${JSON.stringify(message)}\n`));
