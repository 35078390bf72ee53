import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { slowness } from './surroundings.ts';

export interface CommandOptions {
  /** Text on standard input. Default: /dev/null. */
  readonly stdin?: string;
  /** Added to a small fixed environment; nothing of the tests' own leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Descriptors 3, 4, ... of the command. */
  readonly extraFds?: readonly number[];
  /** After it, on a machine that is not slow, the command is killed, and the test sees `timedOut`. */
  readonly timeoutMs?: number;
  readonly uid?: number;
}

export interface CommandResult {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** What a container that outlives the command has written on its standard output by now. */
  readonly readOutput: () => string;
  /** The same of its standard error. */
  readonly readErrors: () => string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly done: Promise<CommandResult>;
  /** What it has written on standard output by now. */
  readonly output: () => string;
}

const DEFAULT_TIMEOUT_MS = 20_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Starts a command in a session of its own, with files in place of pipes: a container that outlives the command holds its
 * standard output, and a pipe would never come to its end.
 */
export function startCommand(
  argv: readonly string[],
  options: CommandOptions & { readonly outputBase: string },
): RunningCommand {
  const [file = '', ...args] = argv;
  const { outputBase, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const names = { stdout: `${outputBase}.out`, stderr: `${outputBase}.err` };
  const stdin = options.stdin === undefined ? openSync('/dev/null', 'r') : 'pipe';
  // Appending, so that a program that opens /dev/stdout anew does not write over what is there.
  const stdout = openSync(names.stdout, 'a');
  const stderr = openSync(names.stderr, 'a');
  const child = spawn(file, args, {
    detached: true,
    env: { PATH, HOME: '/root', ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    stdio: [stdin, stdout, stderr, ...(options.extraFds ?? [])],
  });
  for (const fd of [stdin, stdout, stderr]) if (typeof fd === 'number') closeSync(fd);
  if (options.stdin !== undefined) {
    // A command that ends without reading is the test's business, not an error here.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin);
  }
  const output = (): string => readFileSync(names.stdout, 'utf8');
  const errors = (): string => readFileSync(names.stderr, 'utf8');
  const done = new Promise<CommandResult>((resolve, reject) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs * slowness);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve({
        code,
        signal,
        stdout: output(),
        stderr: errors(),
        timedOut,
        readOutput: output,
        readErrors: errors,
      });
    });
  });
  return { child, pid: child.pid ?? 0, done, output };
}
