import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArguments, USAGE, type Arguments } from './harness/arguments.ts';
import { htmlReport } from './harness/html-report.ts';
import { markdownReport } from './harness/markdown-report.ts';
import { countOf, type Report, type RuntimeReport } from './harness/report.ts';
import type { Requirement, Result } from './harness/requirement.ts';
import { subtest, testPoint } from './harness/tap.ts';
import { runTools } from './runtime-tools/adapter.ts';
import { requirements } from './requirements/index.ts';
import type { Message, WorkerOptions } from './worker.ts';

/** `npm run conformance`: prints TAP and returns the exit code, 1 if anything failed and 2 for wrong arguments. */
export async function main(argv: readonly string[], top: string): Promise<number> {
  const parsed = parseArguments(argv, defaultRuntime(top));
  if (typeof parsed === 'string') {
    process.stderr.write(`conformance: ${parsed}\n${USAGE}`);
    return parsed === '' ? 0 : 2;
  }
  const reason = reasonAgainst();
  print([`TAP version 14`]);
  if (reason !== undefined) {
    print([`1..0 # SKIP ${reason}`]);
    return 0;
  }
  if (parsed.runtimeTools !== undefined) return runTools(parsed, top, print);
  return runRequirements(parsed, top);
}

async function runRequirements(parsed: Arguments, top: string): Promise<number> {
  const chosen = requirements.filter(({ id }) => isChosen(id, parsed.only));
  if (chosen.length === 0) {
    process.stderr.write(`conformance: no requirement is called ${JSON.stringify(parsed.only)}\n`);
    return 2;
  }
  const runtimes: RuntimeReport[] = [];
  for (const runtime of parsed.runtimes) {
    const done = await runWorker(runtime, { parsed, chosen, top });
    runtimes.push(done);
    const points = chosen.map((requirement, index) => testPoint(index + 1, requirement, resultOf(done, requirement)));
    print(subtest(runtimes.length, done.name, { points, isOk: countOf(done, chosen).failed === 0 }));
  }
  print([`1..${runtimes.length}`]);
  const report: Report = { date: new Date(), kernel: `${os.type()} ${os.release()} ${os.arch()}`, runtimes };
  for (const runtime of runtimes) print([summaryLine(runtime, chosen)]);
  if (parsed.report !== undefined) writeReports(path.resolve(parsed.report), report, chosen);
  return runtimes.every((runtime) => countOf(runtime, chosen).failed === 0) ? 0 : 1;
}

function writeReports(directory: string, report: Report, chosen: readonly Requirement[]): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'RESULTS.md'), markdownReport(report, chosen));
  writeFileSync(path.join(directory, 'RESULTS.html'), htmlReport(report, chosen));
}

function summaryLine(runtime: RuntimeReport, chosen: readonly Requirement[]): string {
  const { passed, failed, skipped, disputed } = countOf(runtime, chosen);
  return `# ${runtime.name}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${disputed} disputed`;
}

/** Runs one worker in new namespaces. Its pid 1 is a shell, which also reaps what the containers leave. */
async function runWorker(
  runtime: string,
  {
    parsed,
    chosen,
    top,
  }: { readonly parsed: Arguments; readonly chosen: readonly Requirement[]; readonly top: string },
): Promise<RuntimeReport> {
  const options: WorkerOptions = {
    runtime: commandLine(runtime),
    ids: chosen.map(({ id }) => id),
    jobs: parsed.jobs,
    timeoutMs: parsed.timeoutMs,
  };
  const worker = path.join(top, 'dist/conformance/worker.mjs');
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh', process.execPath, worker, JSON.stringify(options)];
  const namespaces = ['--mount', '--propagation=private', '--pid', '--fork', '--mount-proc', '--kill-child=KILL'];
  const child = spawn('unshare', [...namespaces, '--ipc', '--uts', '--net', ...shell], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
  });
  const results = new Map<string, Result>();
  let version = '';
  let notes: readonly string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Message;
    if (message.kind === 'about') ({ version, notes } = message);
    else results.set(message.result.id, message.result);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) notes = [...notes, `the worker ended with code ${code}`];
  return { name: nameOf(runtime, version, top), path: runtime, version, notes, results };
}

function resultOf(runtime: RuntimeReport, { id }: Requirement): Result {
  const missing = { kind: 'fail', what: 'the worker ended before it', wanted: 'a result', found: 'none' } as const;
  return runtime.results.get(id) ?? { id, outcome: missing, durationMs: 0 };
}

/** An id, or the beginning of some up to a dot. */
function isChosen(id: string, only: readonly string[]): boolean {
  return only.length === 0 || only.some((word) => id === word || id.startsWith(`${word}.`));
}

function defaultRuntime(top: string): string {
  const executable = path.join(top, 'dist/tsrun');
  return existsSync(executable) ? executable : path.join(top, 'dist/bin/main.js');
}

export function commandLine(runtime: string): string[] {
  const file = path.resolve(runtime);
  return /\.m?js$/.test(file) ? [process.execPath, file] : [file];
}

function nameOf(runtime: string, version: string, top: string): string {
  const file = path.relative(top, path.resolve(runtime));
  return version === '' ? (file.startsWith('..') ? runtime : file) : version;
}

function reasonAgainst(): string | undefined {
  if (process.geteuid?.() !== 0) return 'it needs root';
  const stat = existsSync('/bin/busybox') && readFileSync('/bin/busybox');
  if (stat === false) return 'it needs a static /bin/busybox (Debian: busybox-static)';
  return undefined;
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
