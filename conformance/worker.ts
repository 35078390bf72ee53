/**
 * Runs the requirements on one runtime: `worker.mjs OPTIONS`, where OPTIONS is the JSON of `WorkerOptions`. It is started in
 * namespaces of its own (main.ts), so that all it leaves ends with it. Standard output: one line of JSON for each message.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { Case, type Surroundings } from './harness/case.ts';
import { runCommand } from './harness/command.ts';
import { outcomeOf, type Requirement, type Result } from './harness/requirement.ts';
import { requirements } from './requirements/index.ts';

export interface WorkerOptions {
  readonly runtime: readonly string[];
  readonly ids: readonly string[];
  readonly jobs: number;
  readonly timeoutMs: number;
}

export type Message =
  | { readonly kind: 'about'; readonly version: string; readonly notes: readonly string[] }
  | { readonly kind: 'result'; readonly result: Result };

const BUSYBOX = '/bin/busybox';
const UNIFIED = '/sys/fs/cgroup/unified';

export async function work(options: WorkerOptions, tell: (message: Message) => void): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-conformance-'));
  chmodSync(directory, 0o755);
  const busybox = path.join(directory, 'busybox');
  copyFileSync(BUSYBOX, busybox);
  chmodSync(busybox, 0o755);
  const prefix = `tsrun-${path.basename(directory).slice(-6)}`;
  const surroundings: Surroundings = { ...options, directory, prefix, busybox };
  try {
    tell({ kind: 'about', version: await readVersion(surroundings), notes: await makeUsable(surroundings) });
    const queue = options.ids.flatMap((id) => requirements.filter((requirement) => requirement.id === id));
    const runOn = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        tell({ kind: 'result', result: await runRequirement(next, surroundings) });
    };
    await Promise.all(Array.from({ length: options.jobs }, runOn));
  } finally {
    killAll();
    removeCgroups('/sys/fs/cgroup', prefix);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runRequirement(requirement: Requirement, surroundings: Surroundings): Promise<Result> {
  const begin = performance.now();
  const c = new Case(requirement.id, surroundings);
  const outcome = await requirement.run(c).then(() => ({ kind: 'pass' }) as const, outcomeOf);
  await c.finish();
  return { id: requirement.id, outcome, durationMs: performance.now() - begin };
}

async function readVersion({ runtime, directory }: Surroundings): Promise<string> {
  const options = { outputBase: path.join(directory, 'version'), timeoutMs: 30_000 };
  return (await runCommand([...runtime, '--version'], options)).stdout.trim().split('\n')[0] ?? '';
}

/** Changes the worker's view of the machine where the runtime cannot make any container in it; returns what it changed. */
async function makeUsable(surroundings: Surroundings): Promise<string[]> {
  if (await canRun('probe-1', surroundings)) return [];
  if (!existsSync(UNIFIED)) return [];
  // What a runtime makes there instead goes to a file system of the worker, not to the one that the machine has below.
  for (const argv of [
    ['umount', UNIFIED],
    ['mount', '-t', 'tmpfs', 'tmpfs', UNIFIED],
  ] as const)
    if (spawnSync(argv[0], argv.slice(1)).status !== 0) return [`${argv.join(' ')} fails`];
  if (await canRun('probe-2', surroundings)) return [`it runs only where ${UNIFIED} is not mounted`];
  return ['it cannot run the simplest container here'];
}

async function canRun(name: string, surroundings: Surroundings): Promise<boolean> {
  const c = new Case(name, surroundings);
  const { result } = await c.tryCreate();
  await c.finish();
  return result.code === 0;
}

/** Whatever is in the worker's pid namespace was started by it, but for its pid 1, which waits for the worker. */
function killAll(): void {
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === 1 || pid === process.pid) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended in the meantime.
    }
  }
}

/** Removes the cgroups that a runtime left, deepest first. */
function removeCgroups(directory: string, prefix: string, isInside = false): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const child = path.join(directory, entry.name);
    const isOwn = isInside || entry.name.includes(prefix);
    try {
      removeCgroups(child, prefix, isOwn);
      if (isOwn) rmdirSync(child);
    } catch {
      // Gone in the meantime, or busy for a moment longer.
    }
  }
}

const [file, text] = process.argv.slice(1);
if (file !== undefined && text !== undefined && import.meta.url === pathToFileURL(file).href)
  await work(JSON.parse(text) as WorkerOptions, (message) => process.stdout.write(`${JSON.stringify(message)}\n`));
