import { readFileSync } from 'node:fs';

/** What a build knows about itself. */
export interface Version {
  readonly version: string;
  readonly commit: string;
  /** Version of the koffi package. */
  readonly koffi: string;
}

/** Set by a build that bundles (esbuild's `define`); a source tree has no such thing. */
declare const TSRUN_BUILD: Version | undefined;

/** Likewise: identity of the build, 16 hexadecimal digits. */
declare const TSRUN_BUILD_ID: string | undefined;

/** What a launcher of the same build says in its hello, 64 bits; undefined in a source tree, which has no launcher. */
export function readBuildId(): bigint | undefined {
  return typeof TSRUN_BUILD_ID === 'undefined' ? undefined : BigInt(`0x${TSRUN_BUILD_ID}`);
}

// The same from src/host and from dist/bin.
const packageFile = '../../package.json';

/** The version of this build, or of the package around this file. */
export function readVersion(): Version {
  if (typeof TSRUN_BUILD !== 'undefined') return TSRUN_BUILD;
  const text = readFileSync(new URL(packageFile, import.meta.url), 'utf8');
  const { version, dependencies } = JSON.parse(text) as { version: string; dependencies: { koffi: string } };
  return { version, commit: 'unknown', koffi: dependencies.koffi };
}
