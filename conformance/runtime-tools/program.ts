import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../harness/command.ts';
import { inNamespaces } from '../harness/namespaces.ts';
import { verdictOf, type Verdict } from './verdict.ts';

export interface ProgramOptions {
  /** Folder of the built runtime-tools, where the programs look for their root file system and for `runtimetest`. */
  readonly tools: string;
  /** Path below `tools`. */
  readonly file: string;
  /** Of the runtime. */
  readonly commandLine: readonly string[];
  /** For all that is made. */
  readonly directory: string;
  readonly timeoutMs: number;
  /** Lines for a shell in the new namespaces, before the program. */
  readonly setUp: readonly string[];
  /** `delete` is given the switch that has it follow the specification. */
  readonly isStrict: boolean;
}

/** What the runtimes keep on the containers of a program goes with its namespaces. */
const OWN_RUN = 'mount -t tmpfs tmpfs /run';

/** Runs one program of the runtime-tools, in namespaces of its own. */
export async function runProgram({ file, ...options }: ProgramOptions): Promise<Verdict> {
  const { tools, directory, timeoutMs, setUp } = options;
  const name = path.basename(file, '.t');
  const temporary = path.join(directory, `${name}-tmp`);
  mkdirSync(temporary);
  const [command, args] = inNamespaces([path.join(tools, file)], [...setUp, OWN_RUN].join(' && '));
  const { code, stdout, stderr, timedOut } = await runCommand([command, ...args], {
    outputBase: path.join(directory, name),
    timeoutMs,
    cwd: tools,
    env: { RUNTIME: writeRuntime(options, directory), TMPDIR: temporary },
  });
  if (timedOut) return { isOk: false, isOkAsTap: false, points: 0, complaints: [`killed after ${timeoutMs} ms`] };
  return verdictOf({ code, stdout, stderr });
}

/** The programs want one file to execute. */
function writeRuntime({ commandLine, isStrict }: Omit<ProgramOptions, 'file'>, directory: string): string {
  const [only = '', ...more] = commandLine;
  if (more.length === 0 && !isStrict) return only;
  const file = path.join(directory, 'runtime');
  const words = commandLine.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const strict = isStrict ? 'if [ "$1" = delete ]; then shift; set -- delete --strict "$@"; fi\n' : '';
  writeFileSync(file, `#!/bin/sh\n${strict}exec ${words.join(' ')} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}
