import { TsrunError } from '../errors.ts';
import { reasonOf } from '../sys/errno.ts';

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

/**
 * Runs a small tool of the system to its end, with the usual system directories as PATH and nothing else of the environment.
 *
 * Errors: `host` when it is not installed or does not end within 30 s.
 */
export async function runTool(name: string, args: readonly string[]): Promise<ToolResult> {
  const { code, stderr } = await spawn(name, args, { output: 'ignore', limitBytes: STDERR_LIMIT_BYTES });
  return { code, stderr };
}

/** As `runTool`, with what the tool wrote on standard output. Errors: also `host` when that is more than 64 MiB. */
export async function readTool(name: string, args: readonly string[]): Promise<ToolResult & { stdout: string }> {
  return spawn(name, args, { output: 'pipe', limitBytes: STDOUT_LIMIT_BYTES });
}

async function spawn(
  name: string,
  args: readonly string[],
  { output, limitBytes }: { output: 'ignore' | 'pipe'; limitBytes: number },
): Promise<ToolResult & { stdout: string }> {
  // Most commands never need it.
  const { spawnSync } = await import('node:child_process');
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  const result = spawnSync(name, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', output, 'pipe'],
    timeout: TIMEOUT_MS,
    maxBuffer: limitBytes,
  });
  if (result.error !== undefined) {
    const errno = (result.error as NodeJS.ErrnoException).code;
    const details = { cause: result.error, ...(errno !== undefined && { errno }) };
    throw new TsrunError('host', `run ${JSON.stringify(name)}: ${reasonOf(result.error)}`, details);
  }
  // Typed as a string, but null where the stream was not piped.
  const stdout = (result.stdout as string | null) ?? '';
  return { code: result.status ?? 128, stdout, stderr: result.stderr };
}
