/** Milliseconds since this process began. Not performance.now(): on Node its first use loads a dozen modules. */
export function nowMs(): number {
  return process.uptime() * 1000;
}

/**
 * Microseconds since 1970, with fractions: a clock that is the same in every time namespace, as of an init that has one of its own.
 * For who measures, and has the time to load what Node measures with.
 */
export function wallClockUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** When this process began, by the same clock. */
export function startedUs(): number {
  return performance.timeOrigin * 1000;
}

/** What this process has used of the processor since it began, microseconds: in its own code, and in the kernel for it. */
export function usedProcessor(): { readonly userUs: number; readonly kernelUs: number } {
  const { user, system } = process.cpuUsage();
  return { userUs: user, kernelUs: system };
}
