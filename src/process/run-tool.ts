import { TsrunError } from '../errors.ts';

export interface ToolResult {
  readonly code: number;
  readonly stderr: string;
}

/**
 * Runs a small tool of the system to its end, with the usual system directories as PATH and nothing else of the environment.
 *
 * Errors: `host` when it is not installed or does not end within 30 s.
 */
export async function runTool(name: string, args: readonly string[]): Promise<ToolResult> {
  // Privileged callers never need it.
  const { spawnSync } = await import('node:child_process');
  const TIMEOUT_MS = 30_000;
  const LIMIT_BYTES = 64 * 1024;
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  const result = spawnSync(name, args, {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: TIMEOUT_MS,
    maxBuffer: LIMIT_BYTES,
  });
  if (result.error !== undefined) {
    throw new TsrunError('host', `run ${JSON.stringify(name)}: ${result.error.message}`, { cause: result.error });
  }
  return { code: result.status ?? 128, stderr: result.stderr.toString() };
}
