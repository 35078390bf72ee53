/** Milliseconds since this process began. Not performance.now(): on Node its first use loads a dozen modules. */
export function nowMs(): number {
  return process.uptime() * 1000;
}
