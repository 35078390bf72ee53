import { readFileSync } from 'node:fs';
import { specVersionMax } from '../spec/versions.ts';

/** What a build knows about itself. */
export interface Version {
  readonly version: string;
  readonly commit: string;
  /** Version of the koffi package. */
  readonly koffi: string;
}

/** Set by a build that bundles (esbuild's `define`); a source tree has no such thing. */
declare const TSRUN_BUILD: Version | undefined;

// The same from src/cli and from dist/bin.
const packageFile = '../../package.json';

/** The version of this build, or of the package around this file. */
export function readVersion(): Version {
  if (typeof TSRUN_BUILD !== 'undefined') return TSRUN_BUILD;
  const text = readFileSync(new URL(packageFile, import.meta.url), 'utf8');
  const { version, dependencies } = JSON.parse(text) as { version: string; dependencies: { koffi: string } };
  return { version, commit: 'unknown', koffi: dependencies.koffi };
}

/** What `--version` prints. dockerd reads the first three lines, and each is two fields with `: ` or a space between them. */
export function versionText({ version, commit, koffi }: Version, engine = engineText()): string {
  return [
    `tsrun version ${version}`,
    `commit: ${commit}`,
    `spec: ${specVersionMax}`,
    engine,
    `koffi: ${koffi}`,
    '',
  ].join('\n');
}

/** Bun, in which the executable is made, has a `process.versions.node` as well: the version it imitates. */
function engineText(): string {
  const { bun, node } = process.versions;
  return bun === undefined ? `node: ${node}` : `bun: ${bun}`;
}
