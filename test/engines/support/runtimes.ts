import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findTool, tsrunFile } from '../../live/support/surroundings.ts';
import type { Surroundings } from './surroundings.ts';

const SHIM = 'containerd-shim-tsrun-v2';
/** The runtimes to test, by name; all by default. */
const NAMES = process.env.TSRUN_TEST_RUNTIMES?.split(',');

/** A runtime as engines take it. */
export interface Runtime {
  readonly name: string;
  /** An executable file, absolute, the same inside and outside. Its last part is the name. */
  readonly path: string;
  /** It is a shim of containerd, and no command that one calls. */
  readonly isShim?: true;
  /** What its engine has in its environment beside the rest. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * runc, which shows that a test is right, where it is installed; then the tsrun that is tested.
 */
export function listRuntimes(surroundings: Surroundings): Runtime[] {
  const runc = findTool('runc');
  const tsrun = { name: 'tsrun', path: tsrunPath(surroundings) };
  return wanted(runc === undefined ? [tsrun] : [{ name: 'runc', path: runc }, tsrun]);
}

/** The one of them that comes first, for what is the same with each. */
export function anyRuntime(surroundings: Surroundings): Runtime {
  const [first] = listRuntimes(surroundings);
  if (first === undefined) throw new Error(`none of the runtimes is wanted: ${NAMES?.join(', ')}`);
  return first;
}

/** The same, and the shim of the tsrun that is tested. */
export function listRuntimesAndShims(surroundings: Surroundings): Runtime[] {
  return wanted([...listRuntimes(surroundings), { name: 'tsrun-shim', path: shimPath(surroundings), isShim: true }]);
}

function wanted(runtimes: readonly Runtime[]): Runtime[] {
  return runtimes.filter(({ name }) => NAMES?.includes(name) ?? true);
}

/** The same shim where one serves all containers of a namespace. */
export function sharedShim(surroundings: Surroundings): Runtime {
  const environment = { TSRUN_SHIM_SHARED: '1' };
  return { name: 'tsrun-shared', path: shimPath(surroundings), isShim: true, environment };
}

/** The shim of the tsrun that is tested. Its last part is the name by which containerd looks for it. */
export function shimPath(surroundings: Surroundings): string {
  if (!tsrunFile.endsWith('.js')) return path.join(path.dirname(tsrunFile), SHIM);
  const wrapper = surroundings.path(SHIM);
  const script = path.join(path.dirname(tsrunFile), 'shim.js');
  if (!existsSync(wrapper))
    writeFileSync(wrapper, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
  return wrapper;
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
