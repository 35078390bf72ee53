import { writeSync } from 'node:fs';

/** Set for the process that becomes the shim, where Node has started it; and taken off there. */
const VARIABLE = 'TSRUN_SHIM_ANSWERS';

/** Whether this process answers through the one that has started it. */
export function isAnswering(environment: NodeJS.ProcessEnv): boolean {
  const isSet = environment[VARIABLE] !== undefined;
  Reflect.deleteProperty(environment, VARIABLE);
  return isSet;
}

/** Says the exit code of the one that waits, and what that is to print. */
export function answerThrough(code: 0 | 1, said: string | Uint8Array): void {
  const whole = Buffer.concat([Uint8Array.of(code), Buffer.from(said as Uint8Array)]);
  for (let rest = whole; rest.length > 0;) rest = rest.subarray(writeSync(1, rest));
}

/** Starts this program again, by its script and arguments, in a session of its own, and prints its answer. Returns the exit code. */
export async function startApart(command: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  // The executable has no use for it: its launcher starts another process.
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    detached: true,
    stdio: ['inherit', 'pipe', 'inherit'],
    env: { ...environment, [VARIABLE]: '1' },
  });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  child.unref();
  const answer = Buffer.concat(chunks);
  writeSync(1, answer.subarray(1));
  return answer[0] ?? 1;
}
