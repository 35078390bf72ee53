import { day, markdownTable, escapeCell } from '../harness/markdown.ts';
import type { Judged } from './judge.ts';
import { COMMON_VERSION } from './program.ts';

export interface ToolsRuntime {
  readonly name: string;
  readonly notes: readonly string[];
  readonly judged: readonly Judged[];
}

export interface ToolsReport {
  readonly date: Date;
  readonly kernel: string;
  readonly runtimes: readonly ToolsRuntime[];
}

/** RUNTIME-TOOLS.md: every program, runtime beside runtime, with the reason of each that fails with tsrun. */
export function programsReport({ date, kernel, runtimes }: ToolsReport): string {
  const programs = runtimes[0]?.judged ?? [];
  return [
    '# Validation programs of opencontainers/runtime-tools',
    '',
    `${day(date)}, ${kernel}. Made by \`npm run conformance -- --runtime-tools DIR\`. A program passes when it exits with 0, has no`,
    'test point that is not ok, and prints no error outside of one; a harness that reads only exit codes and test points does not see the',
    'last. The list of reasons is for tsrun. The configs of the programs are given the version of the specification that all runtimes',
    `accept, ${COMMON_VERSION}, in place of that which the programs were built with; an invalid one stays.`,
    '',
    ...markdownTable(
      ['runtime', 'programs that pass', 'by exit code and test points alone', 'notes'],
      runtimes.map(({ name, notes, judged }) => [
        escapeCell(name),
        `${judged.filter(({ verdict }) => verdict.isOk).length} of ${judged.length}`,
        `${judged.filter(({ verdict }) => verdict.isOkAsTap).length} of ${judged.length}`,
        escapeCell(notes.join('; ')),
      ]),
    ),
    '',
    ...markdownTable(
      ['program', ...runtimes.map(({ name }) => escapeCell(name)), 'at fault', 'reason'],
      programs.map(({ program, expected }, index) => [
        program,
        ...runtimes.map(({ judged }) => (judged[index]?.verdict.isOk === true ? 'pass' : 'FAIL')),
        expected?.fault ?? '',
        escapeCell(expected?.reason ?? ''),
      ]),
    ),
    '',
  ].join('\n');
}
