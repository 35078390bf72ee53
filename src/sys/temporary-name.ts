/** A name that is used once: what a killed tsrun leaves under it is in nobody's way. */
export function temporaryName(prefix: string): string {
  return `${prefix}${process.pid}-${process.hrtime.bigint()}`;
}
