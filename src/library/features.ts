import { readSeccompBuild } from '../container/build/seccomp-build.ts';
import { readVersion } from '../host/version.ts';
import { features as describe } from '../spec/features.ts';
import type { Features } from '../spec/generated/features.ts';

/** What this tsrun supports: the document of features.md. */
export function features(): Features {
  const { version, commit } = readVersion();
  const seccomp = readSeccompBuild();
  return describe({ version, commit, ...(seccomp === undefined ? {} : { seccomp }) });
}
