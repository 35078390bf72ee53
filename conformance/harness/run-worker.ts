import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { prefixFor, type Message, type WorkerOptions } from '../worker.ts';
import type { Arguments } from './arguments.ts';
import { removeCgroups } from './cgroups.ts';
import { commandLine, inNamespaces, nameOf } from './namespaces.ts';
import type { RuntimeReport } from './report.ts';
import type { Requirement, Result } from './requirement.ts';
import { judge } from './since.ts';

interface Round {
  readonly ids: readonly string[];
  readonly jobs: number;
}

/** What the workers of one runtime have told so far. */
interface Told {
  version: string;
  spec: string;
  readonly notes: Set<string>;
  readonly results: Map<string, Result>;
}

/**
 * Runs the requirements on one runtime and collects the results.
 *
 * A runtime may end the worker with its own container: those that were looked at then are run again one by one, and the one whose
 * worker is ended although it is alone has failed.
 */
export async function runRuntime(
  runtime: string,
  {
    parsed,
    chosen,
    top,
  }: { readonly parsed: Arguments; readonly chosen: readonly Requirement[]; readonly top: string },
): Promise<RuntimeReport> {
  const told: Told = { version: '', spec: '', notes: new Set(), results: new Map() };
  const { timeoutMs, schemas } = parsed;
  const settings = { runtime: commandLine(runtime), timeoutMs, ...(schemas === undefined ? {} : { schemas }) };
  const rounds: Round[] = [{ ids: chosen.map(({ id }) => id), jobs: parsed.jobs }];
  for (let round = rounds.shift(); round !== undefined; round = rounds.shift()) {
    const { ids, jobs } = round;
    const begun = await runWorker({ ...settings, ids, jobs }, { top, told });
    const missing = ids.filter((id) => !told.results.has(id));
    if (missing.length === 0) continue;
    const suspects = missing.filter((id) => begun.has(id));
    // Without any progress there is no worker that could do better.
    if (suspects.length === 0) break;
    if (ids.length === 1) told.results.set(suspects[0] ?? '', endedWorker(suspects[0] ?? ''));
    else rounds.push(...suspects.map((id) => ({ ids: [id], jobs: 1 })));
    const rest = missing.filter((id) => !begun.has(id));
    if (rest.length > 0) rounds.unshift({ ids: rest, jobs });
  }
  const results = new Map<string, Result>();
  for (const requirement of chosen) {
    const result = told.results.get(requirement.id) ?? noResult(requirement.id);
    results.set(requirement.id, { ...result, outcome: judge(requirement, result.outcome, told.spec) });
  }
  const { version, spec } = told;
  return { name: nameOf(runtime, version, top), path: runtime, version, spec, notes: [...told.notes], results };
}

/** Runs one worker in new namespaces; ids of the requirements that it began with. */
async function runWorker(
  options: Omit<WorkerOptions, 'directory'>,
  { top, told }: { readonly top: string; readonly told: Told },
): Promise<Set<string>> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-conformance-'));
  const prefix = prefixFor(directory);
  try {
    return await runWorkerIn({ ...options, directory }, { top, told });
  } finally {
    removeCgroups((name) => name.includes(prefix));
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runWorkerIn(
  options: WorkerOptions,
  { top, told }: { readonly top: string; readonly told: Told },
): Promise<Set<string>> {
  const worker = path.join(top, 'dist/conformance/worker.mjs');
  const [file, args] = inNamespaces([process.execPath, worker, JSON.stringify(options)]);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' });
  const begun = new Set<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Names that are other ones in every run say nothing in a report.
    const message = JSON.parse(line.replaceAll(options.directory, '/DIRECTORY')) as Message;
    if (message.kind === 'about') {
      Object.assign(told, { version: message.version, spec: message.spec });
      for (const note of message.notes) told.notes.add(note);
    } else if (message.kind === 'begin') begun.add(message.id);
    else told.results.set(message.result.id, message.result);
  });
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      resolve();
    });
  });
  return begun;
}

function endedWorker(id: string): Result {
  const wanted = 'an end of nothing but the container';
  const found = 'the process that tests it has been killed';
  return { id, outcome: { kind: 'fail', what: 'the runtime kills others', wanted, found }, durationMs: 0 };
}

/** The result of a requirement that no worker came to. */
export function noResult(id: string): Result {
  const outcome = { kind: 'fail', what: 'the worker ended before it', wanted: 'a result', found: 'none' } as const;
  return { id, outcome, durationMs: 0 };
}
