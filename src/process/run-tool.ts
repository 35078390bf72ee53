import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { NonBlocking } from '../sys/events/nonblocking.ts';
import { waitAny } from '../sys/events/poll.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { isExecutableFile, openFile } from '../sys/file.ts';
import { writeFully } from '../sys/io.ts';
import { createMemfd } from '../sys/memfd.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { pipe } from '../sys/pipe.ts';
import { spawn } from '../sys/process/spawn.ts';
import { reapByPidfd, type ExitStatus } from '../sys/process/wait.ts';
import { O_RDONLY, O_RDWR, POLLIN } from '../util/constants.ts';
import { nowMs } from '../sys/clock.ts';
import { DEATH_TIMEOUT_MS, killAndWait } from './kill-and-wait.ts';

/** How a tool ended: its exit code, 128 when it was killed, and at most 64 KiB of what it complained about. */
export interface ToolResult {
  readonly code: number;
  readonly stderr: string;
}

/** How long a tool may take. */
const TIMEOUT_MS = 30_000;
/** Of what a tool complains about, this much is kept. */
const STDERR_LIMIT_BYTES = 64 * 1024;
/** `ps -ef` of a large machine has some ten megabytes. */
const STDOUT_LIMIT_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** Then others have a turn. */
const CHUNKS_AT_ONCE = 8;
const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Runs a small tool of the system to its end, with the usual system directories as PATH and nothing else of the environment. The event loop
 * goes on meanwhile.
 *
 * Shape: its exit code, 128 when it was killed. Errors: `host` when it is not installed or does not end within 30 s, when it is killed.
 */
export async function runTool(name: string, args: readonly string[]): Promise<ToolResult> {
  const { code, stderr } = await run(name, args, { readsOutput: false });
  return { code, stderr };
}

/** What a tool gets beside its arguments. */
export interface ToolInput {
  /** What it reads from standard input. Default: nothing. */
  readonly input?: string;
  /** Entries `NAME=value`, beside PATH. Default: none. */
  readonly environment?: readonly string[];
}

/**
 * As `runTool`, with what the tool wrote on standard output; one with an absolute path is not looked for. Errors: also `host` when that is
 * more than 64 MiB.
 */
export async function readTool(
  name: string,
  args: readonly string[],
  given: ToolInput = {},
): Promise<ToolResult & { stdout: string }> {
  return run(name, args, { readsOutput: true, ...given });
}

/** Where a tool of the system is installed; undefined when it is not. */
export function findTool(name: string): string | undefined {
  if (name.startsWith('/')) return isExecutableFile(name) ? name : undefined;
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find(isExecutableFile);
}

async function run(
  name: string,
  args: readonly string[],
  { readsOutput, input, environment = [] }: ToolInput & { readonly readsOutput: boolean },
): Promise<ToolResult & { stdout: string }> {
  const path = findTool(name);
  if (path === undefined) throw toolError(name, 'ENOENT');
  using nothing = openFile('/dev/null', O_RDWR);
  using stdin = input === undefined ? undefined : openInput(input);
  using stdout = new Output(name, STDOUT_LIMIT_BYTES);
  using stderr = new Output(name, STDERR_LIMIT_BYTES);
  const pid = spawn({
    path,
    name,
    args,
    environment: [`PATH=${DIRECTORIES.join(':')}`, ...environment],
    descriptors: new Map([
      [0, (stdin ?? nothing).number],
      [1, readsOutput ? stdout.theirs.number : nothing.number],
      [2, stderr.theirs.number],
    ]),
  });
  using pidfd = pidfdOpen(pid);
  stdout.start();
  stderr.start();
  const status = await waitForEnd(name, pidfd, [stdout, stderr]);
  return { code: status.kind === 'exited' ? status.code : 128, stdout: stdout.text(), stderr: stderr.text() };
}

/** A file of its own with this text, read from its beginning. */
function openInput(text: string): OwnedFd {
  using file = createMemfd('tsrun-input');
  writeFully(file.number, Buffer.from(text));
  return openFile(descriptorPath(file.number), O_RDONLY);
}

/** Takes what the tool prints until it ends; one that takes too long, or that nobody wants any more, is killed. */
async function waitForEnd(name: string, pidfd: OwnedFd, outputs: readonly Output[]): Promise<ExitStatus> {
  const deadline = nowMs() + TIMEOUT_MS;
  try {
    for (;;) {
      const status = reapByPidfd(pidfd.number);
      if (status !== undefined) {
        // What it has written is in the pipes by now, whoever else keeps them open.
        for (const output of outputs) output.take(Infinity);
        return status;
      }
      const leftMs = Math.ceil(deadline - nowMs());
      const interests = outputs.flatMap((output) => output.interests());
      const ready = leftMs <= 0 ? [] : await waitAny([{ fd: pidfd.number, events: POLLIN }, ...interests], leftMs);
      if (ready.length === 0) throw toolError(name, 'ETIMEDOUT');
      for (const output of outputs) output.take(CHUNKS_AT_ONCE);
    }
  } catch (error) {
    await uninterrupted(() => kill(pidfd));
    throw error;
  }
}

async function kill(pidfd: OwnedFd): Promise<void> {
  try {
    if (await killAndWait(pidfd, DEATH_TIMEOUT_MS)) reapByPidfd(pidfd.number);
  } catch (error) {
    // Somebody else in this process has reaped it.
    if (!hasErrno(error, 'ECHILD')) throw error;
  }
}

/** What a tool writes on one of its descriptors. */
class Output implements Disposable {
  /** The tool's end. */
  readonly theirs: OwnedFd;
  readonly #name: string;
  readonly #limitBytes: number;
  readonly #ours: NonBlocking;
  readonly #parts: Buffer[] = [];
  #size = 0;
  #isOver = false;

  constructor(name: string, limitBytes: number) {
    this.#name = name;
    this.#limitBytes = limitBytes;
    const [reader, writer] = pipe();
    this.theirs = writer;
    this.#ours = new NonBlocking(reader.number, 'read');
    reader.close();
  }

  /** The tool has its end: ours is over when nobody else has it. */
  start(): void {
    this.theirs.close();
  }

  interests(): { fd: number; events: number }[] {
    return this.#isOver ? [] : [{ fd: this.#ours.number, events: POLLIN }];
  }

  /** Takes what is there, so many chunks at most. Errors: `host` when it is too much. */
  take(chunks: number): void {
    for (let taken = 0; !this.#isOver && taken < chunks; taken++) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const count = this.#ours.read(chunk);
      if (count === undefined) return;
      this.#isOver = count === 0;
      this.#size += count;
      if (this.#size > this.#limitBytes) throw toolError(this.#name, 'ENOBUFS');
      this.#parts.push(chunk.subarray(0, count));
    }
  }

  text(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }

  [Symbol.dispose](): void {
    this.theirs.close();
    this.#ours[Symbol.dispose]();
  }
}

function toolError(name: string, errno: string): TsrunError {
  return TsrunError.of('host', `run ${JSON.stringify(name)}`, errno);
}
