import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArguments, USAGE, type Arguments } from './harness/arguments.ts';
import { htmlReport } from './harness/html-report.ts';
import { markdownReport } from './harness/markdown-report.ts';
import { countOf, kernelName, type Report, type RuntimeReport } from './harness/report.ts';
import type { Requirement } from './harness/requirement.ts';
import { noResult, runRuntime } from './harness/run-worker.ts';
import { subtest, testPoint } from './harness/tap.ts';
import { runTools } from './runtime-tools/adapter.ts';
import { requirements } from './requirements/index.ts';

/** `npm run conformance`: prints TAP and returns the exit code, 1 if anything failed and 2 for wrong arguments. */
export async function main(argv: readonly string[], top: string): Promise<number> {
  const parsed = parseArguments(argv, path.join(top, 'dist/bin/main.js'));
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
    const done = await runRuntime(runtime, { parsed, chosen, top });
    runtimes.push(done);
    const points = chosen.map((requirement, index) =>
      testPoint(index + 1, requirement, done.results.get(requirement.id) ?? noResult(requirement.id)),
    );
    print(subtest(runtimes.length, done.name, { points, isOk: countOf(done, chosen).failed === 0 }));
  }
  print([`1..${runtimes.length}`]);
  const report: Report = { date: new Date(), kernel: kernelName(), runtimes };
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

/** An id, or the beginning of some up to a dot. */
function isChosen(id: string, only: readonly string[]): boolean {
  return only.length === 0 || only.some((word) => id === word || id.startsWith(`${word}.`));
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
