import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Arguments } from '../harness/arguments.ts';
import { findCgroupNames, removeCgroups } from '../harness/cgroups.ts';
import { commandLine, HIDE_UNIFIED, WITHOUT_UNIFIED } from '../harness/namespaces.ts';
import { kernelName } from '../harness/report.ts';
import { runRuntime } from '../harness/run-worker.ts';
import { subtest } from '../harness/tap.ts';
import { judgeProgram, programPoint, type Judged } from './judge.ts';
import { runProgram } from './program.ts';
import { programsReport, type ToolsRuntime } from './report.ts';

/** What the programs call their cgroups: one of two fixed names, or that of a container, a UUID. */
const isCgroupOfProgram = (name: string): boolean =>
  /^(cgrouptest|testdir|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(name);

/**
 * Runs the validation programs of a built opencontainers/runtime-tools (`--runtime-tools DIR`) on each runtime: prints TAP and
 * returns the exit code. With `--report` it writes RUNTIME-TOOLS.md.
 */
export async function runTools(
  parsed: Arguments,
  top: string,
  print: (lines: readonly string[]) => void,
): Promise<number> {
  const tools = path.resolve(parsed.runtimeTools ?? '.');
  const files = findPrograms(tools).filter((file) => isChosen(programName(file), parsed.only));
  const reason = reasonAgainst(tools, files);
  if (reason !== undefined) {
    process.stderr.write(`conformance: ${reason}\n`);
    return 2;
  }
  const runtimes: ToolsRuntime[] = [];
  for (const runtime of parsed.runtimes) {
    const done = await runOn(runtime, { parsed, top, tools, files });
    runtimes.push(done);
    const points = done.judged.map((judged, index) => programPoint(index + 1, judged));
    print(subtest(runtimes.length, done.name, { points, isOk: !done.judged.some(({ isFault }) => isFault) }));
  }
  print([`1..${runtimes.length}`]);
  for (const { name, judged } of runtimes)
    print([`# ${name}: ${judged.filter(({ verdict }) => verdict.isOk).length} of ${judged.length} programs pass`]);
  if (parsed.report !== undefined) {
    mkdirSync(parsed.report, { recursive: true });
    const text = programsReport({ date: new Date(), kernel: kernelName(), runtimes });
    writeFileSync(path.join(parsed.report, 'RUNTIME-TOOLS.md'), text);
  }
  return runtimes.some(({ judged }) => judged.some(({ isFault }) => isFault)) ? 1 : 0;
}

async function runOn(
  runtime: string,
  {
    parsed,
    top,
    tools,
    files,
  }: { readonly parsed: Arguments; readonly top: string; readonly tools: string; readonly files: readonly string[] },
): Promise<ToolsRuntime> {
  // Without requirements it only tells what the runtime is, and whether it runs here.
  const { name, version, notes } = await runRuntime(runtime, { parsed, chosen: [], top });
  const setUp = notes.includes(WITHOUT_UNIFIED) ? [HIDE_UNIFIED] : [];
  // The list is about tsrun; on another runtime a failure is only shown.
  const isOurs = version.startsWith('tsrun ');
  const before = findCgroupNames(isCgroupOfProgram);
  const judged: Judged[] = [];
  for (const file of files) {
    const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-runtime-tools-'));
    // The root of a user namespace is somebody else on the way to the rootfs.
    chmodSync(directory, 0o755);
    try {
      const given = { tools, file, directory, timeoutMs: parsed.timeoutMs, setUp };
      const options = { ...given, commandLine: commandLine(runtime), isStrict: isOurs };
      judged.push(judgeProgram(programName(file), await runProgram(options), { isOurs }));
    } finally {
      removeCgroups((cgroup) => isCgroupOfProgram(cgroup) && !before.has(cgroup));
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return { name, notes, judged };
}

/** Paths of the programs below the folder, sorted. */
function findPrograms(tools: string): string[] {
  const validation = path.join(tools, 'validation');
  if (!existsSync(validation)) return [];
  return readdirSync(validation)
    .map((name) => path.join('validation', name, `${name}.t`))
    .filter((file) => existsSync(path.join(tools, file)))
    .sort();
}

function programName(file: string): string {
  return path.basename(file, '.t');
}

function isChosen(name: string, only: readonly string[]): boolean {
  return only.length === 0 || only.includes(name);
}

function reasonAgainst(tools: string, files: readonly string[]): string | undefined {
  if (files.length === 0) return `${tools} has none of those programs; wanted validation/NAME/NAME.t`;
  if (!existsSync(path.join(tools, 'runtimetest'))) return `${tools} has no runtimetest, which the programs copy`;
  return undefined;
}
