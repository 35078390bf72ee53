import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

export interface CommandResult {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** What a container that outlives the command has written on its standard output by now. */
  readonly output: () => string;
}

export interface CommandOptions {
  /** The path of the files for its output, to which `.out` and `.err` are appended. */
  readonly outputBase: string;
  readonly timeoutMs: number;
  readonly cwd?: string;
  /** Added to PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a caller of a runtime gives it; nothing else of the surroundings leaks in. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };
/** No output of a test is longer. */
const OUTPUT_BYTES = 1 << 20;

/**
 * Runs a command in a session of its own. Its output goes to files: a container that outlives the command holds its standard
 * output, and a pipe would never come to its end. After `timeoutMs` the command, and only it, is killed.
 */
export function runCommand(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const [file = '', ...args] = argv;
  const names = { stdout: `${options.outputBase}.out`, stderr: `${options.outputBase}.err` };
  const stdin = openSync('/dev/null', 'r');
  const stdout = openSync(names.stdout, 'a');
  const stderr = openSync(names.stderr, 'a');
  const child = spawn(file, args, {
    detached: true,
    env: { ...ENVIRONMENT, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [stdin, stdout, stderr],
  });
  for (const fd of [stdin, stdout, stderr]) closeSync(fd);
  const output = (): string => readBounded(names.stdout);
  return new Promise((resolve, reject) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: output(), stderr: readBounded(names.stderr), timedOut, output });
    });
  });
}

function readBounded(file: string): string {
  return readFileSync(file).subarray(0, OUTPUT_BYTES).toString('utf8');
}
