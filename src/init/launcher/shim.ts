import { O_CLOEXEC } from '../../util/constants.ts';
import { DOOR } from '../../util/launched.ts';
import { SIGNALS } from '../../util/signals.ts';
import { writeElf } from '../elf.ts';
import { createMachine } from '../image.ts';
import { writeCold } from './cold.ts';
import { writeDeleted } from './deleted.ts';
import { writeDoor } from './door.ts';
import { PATIENCE_MS, type LauncherOptions } from './launcher.ts';
import { writeMeasure } from './measure.ts';
import { SIGN, writeCall, writeText, writeTexts, type Launcher } from './parts.ts';
import { PATH, PATH_MAX } from './places.ts';

/** What the bytes of the shim's launcher depend on. */
export type ShimLauncherOptions = Pick<LauncherOptions, 'arch' | 'installed' | 'build' | 'patienceMs'> & {
  /** What the paths of sockets begin with at which a shim answers. Default: that of util/launched.ts. */
  readonly door?: string;
};

/**
 * `containerd-shim-tsrun-v2`: a static ELF64 executable like the launcher of the command, for a caller that waits for an answer and for
 * the end of the process, while what it has started stays. It clones; the clone executes the engine, whose standard output is a pipe to
 * the first process, and that passes on what it reads. The first byte is its exit code. What can be answered without an engine is.
 *
 *      measure -> deleted -> door -> pipe -> clone -> cold
 *                    |        |                |
 *                    |        |                +----> read, write, ... -> exit_group
 *                    +--------+-> exit_group
 *
 * The same options give the same bytes.
 */
export function emitShimLauncher(options: ShimLauncherOptions): Uint8Array {
  const { arch, installed, build, door = DOOR.prefix, patienceMs = PATIENCE_MS } = options;
  const machine = createMachine(arch);
  const launcher: Launcher = { machine, arch, texts: new Map() };
  writeMeasure(launcher);
  writeDeleted(launcher);
  writeDoor(launcher, { prefix: door, patienceMs });
  writeApart(launcher);
  writeCold(launcher, installed);
  writeTexts(launcher);
  machine.label('build');
  machine.data(new Uint8Array(BigUint64Array.of(build).buffer));
  return writeElf(machine.assemble(), arch);
}

/** Where the two ends of the pipe are, and later what came through it. */
const PAIR = { reader: 0, writer: 4 } as const;

function writeApart(launcher: Launcher): void {
  const { machine } = launcher;
  writeCall(launcher, 'pipe2', [PATH, O_CLOEXEC]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'not apart');
  writeCall(launcher, 'clone', [SIGNALS.CHLD, 0]);
  machine.move('a5', 'result');
  machine.jumpIfBit('a5', SIGN, 'not apart');
  machine.set('a3', PATH);
  machine.jumpIfZero('a5', 'apart');
  writePass(launcher);
  machine.label('not apart');
  writeText(launcher, 'tsrun: start a process for the shim: ');
  machine.jump('errno');
  machine.label('apart');
  machine.load('a4', 'a3', PAIR.writer, 4);
  writeCall(launcher, 'dup3', ['a4', 1, 0]);
  machine.set('a3', PATH);
  machine.set('a4', 0);
  machine.store('a4', 'a3', 0);
}

/** What the first process does. Nobody has the pipe any more: whoever was to answer has done so, or is dead. */
function writePass(launcher: Launcher): void {
  const { machine } = launcher;
  machine.load('a5', 'a3', PAIR.reader, 4);
  machine.load('a4', 'a3', PAIR.writer, 4);
  writeCall(launcher, 'close', ['a4']);
  // a4: the exit code; a3: whether it is known.
  machine.set('a4', 1);
  machine.set('a3', 0);
  machine.label('answer');
  writeCall(launcher, 'read', ['a5', PATH, PATH_MAX]);
  machine.move('s0', 'result');
  machine.jumpIfBit('s0', SIGN, 'answered');
  machine.jumpIfZero('s0', 'answered');
  machine.set('a1', PATH);
  machine.move('a2', 's0');
  machine.jumpIfZero('a3', 'exit code');
  machine.jump('pass on');
  machine.label('exit code');
  machine.set('a3', 1);
  machine.load('a4', 'a1', 0, 1);
  machine.add('a1', 'a3');
  machine.subtract('a2', 'a3');
  machine.label('pass on');
  machine.jumpIfZero('a2', 'answer');
  writeCall(launcher, 'write', [1, 'a1', 'a2']);
  machine.jump('answer');
  machine.label('answered');
  writeCall(launcher, 'exit_group', ['a4']);
}
