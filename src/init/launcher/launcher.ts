import type { Arch } from '../../program/calls.ts';
import { writeElf } from '../elf.ts';
import { createMachine } from '../image.ts';
import { writeCold } from './cold.ts';
import { writeConnect } from './connect.ts';
import { writeDriven } from './driven.ts';
import { writeMeasure } from './measure.ts';
import { writeTexts, type Launcher } from './parts.ts';

/** What the bytes of a launcher depend on. */
export interface LauncherOptions {
  readonly arch: Arch;
  /** Where the engine's executable is when it does not lie beside the launcher. Absolute. */
  readonly installed: string;
  /** Identity of the build, 64 bits: a planner of another one does not answer. */
  readonly build: bigint;
  /** Path of the planner's socket. Default: the one of the user. */
  readonly socket?: string;
  /** How long a planner may take for its first word, below a second. Default: more than one takes on any machine that is not emulated. */
  readonly patienceMs?: number;
}

/** Whoever needs longer for an answer is of no use. */
export const PATIENCE_MS = 50;

/**
 * The command that people run: a static ELF64 executable of less than 4 KiB. It asks a resident planner for what to do, and executes
 * that as init does; where nobody answers it executes the engine, which does the whole command by itself.
 *
 *      measure -> connect -> HELLO -> receive, execute, ... -> exit_group
 *                    |                   |
 *                    +-----> cold <------+
 *
 * The same options give the same bytes.
 */
export function emitLauncher(options: LauncherOptions): Uint8Array {
  const { arch, installed, build, socket, patienceMs = PATIENCE_MS } = options;
  const machine = createMachine(arch);
  const launcher: Launcher = { machine, arch, texts: new Map() };
  writeMeasure(launcher);
  writeConnect(launcher, { socket, patienceMs });
  writeDriven(launcher);
  writeCold(launcher, installed);
  writeTexts(launcher);
  machine.label('build');
  machine.data(new Uint8Array(BigUint64Array.of(build).buffer));
  return writeElf(machine.assemble(), arch);
}
