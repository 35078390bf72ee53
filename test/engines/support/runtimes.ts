import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { findTool, tsrunFile } from '../../live/support/surroundings.ts';
import type { Surroundings } from './surroundings.ts';

/** A runtime as engines take it. */
export interface Runtime {
  readonly name: string;
  /** An executable file, absolute, the same inside and outside. Its last part is the name. */
  readonly path: string;
}

/**
 * runc, which shows that a test is right, where it is installed; then the tsrun that is tested.
 */
export function listRuntimes(surroundings: Surroundings): Runtime[] {
  const runc = findTool('runc');
  const tsrun = { name: 'tsrun', path: tsrunPath(surroundings) };
  return runc === undefined ? [tsrun] : [{ name: 'runc', path: runc }, tsrun];
}

function tsrunPath(surroundings: Surroundings): string {
  if (!tsrunFile.endsWith('.js')) return tsrunFile;
  // Engines run a file with an environment that may lack Node in its PATH.
  const wrapper = surroundings.path('tsrun');
  if (!existsSync(wrapper)) {
    writeFileSync(wrapper, `#!/bin/sh\nexec '${process.execPath}' '${tsrunFile}' "$@"\n`);
    chmodSync(wrapper, 0o755);
  }
  return wrapper;
}
