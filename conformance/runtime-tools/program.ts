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

/** A version of the specification that every runtime accepts; nothing that the programs look at came later. */
export const COMMON_VERSION = '1.0.2';

/**
 * The programs want one file to execute. Their configs have the version of the specification that the programs were built with, which
 * an older runtime refuses before anything is tested: it is replaced on the way. One that a program has put there on purpose, such
 * as an invalid one, stays.
 */
function writeRuntime({ commandLine, isStrict }: Omit<ProgramOptions, 'file'>, directory: string): string {
  const file = path.join(directory, 'runtime');
  const words = commandLine.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const lines = [
    '#!/bin/sh',
    'last=; for word; do [ "$last" = --bundle ] && bundle=$word; last=$word; done',
    `[ -f "$bundle/config.json" ] && sed -i 's/"ociVersion": *"1\\.[0-9]*\\.[0-9]*"/"ociVersion":"${COMMON_VERSION}"/' "$bundle/config.json"`,
    ...(isStrict ? ['if [ "$1" = delete ]; then shift; set -- delete --strict "$@"; fi'] : []),
    `exec ${words.join(' ')} "$@"`,
  ];
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  chmodSync(file, 0o755);
  return file;
}
