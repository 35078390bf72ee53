/** Oldest runtime specification that tsrun accepts. */
export const specVersionMin = '1.0.0';

/** Newest runtime specification that tsrun follows; what it writes itself says this version. */
export const specVersionMax = '1.3.0';

/** Whether a config of this `ociVersion` knows what came with version 1.`minor`. Without a version it is read as 1.0.0. */
export function isSince(ociVersion: string | undefined, minor: number): boolean {
  const [ownMajor = 1, ownMinor = 0] = (ociVersion ?? '1.0.0').split('.').map(Number);
  return ownMajor > 1 || (ownMajor === 1 && ownMinor >= minor);
}
