import type { Version } from '../host/version.ts';
import { specVersionMax } from '../spec/versions.ts';

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
