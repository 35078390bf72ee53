const USUAL = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A directory with programs of engines that come before the machine's: `TSRUN_TEST_NEWER`, which test/engines/newer.mjs makes. */
export const newerPrograms = process.env.TSRUN_TEST_NEWER;

/** A PATH with them in it; behind the first place, which is a test's own, where there is more than the usual. */
export function withNewer(path = USUAL): string {
  if (newerPrograms === undefined) return path;
  return path.endsWith(`:${USUAL}`)
    ? `${path.slice(0, -USUAL.length)}${newerPrograms}:${USUAL}`
    : `${newerPrograms}:${path}`;
}
