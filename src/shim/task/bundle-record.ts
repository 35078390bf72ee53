import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hasErrno } from '../../sys/errno.ts';
import { temporaryName } from '../../sys/temporary-name.ts';
import { DELETED } from '../../util/launched.ts';

/** What `delete` has to know of a container when its shim is gone. */
export interface BundleRecord {
  /** Directory of its state directory. */
  readonly root: string;
  readonly cgroupManager: 'cgroupfs' | 'systemd';
}

/** In the bundle, which is containerd's alone. */
const NAME = 'tsrun.json';

/** Keeps it; before anything is made that it leads to. Errors: those of node:fs. */
export function writeBundleRecord(bundle: string, record: BundleRecord): void {
  writeAtomically(path.join(bundle, NAME), JSON.stringify(record));
}

/** Undefined when nothing was made, or all of it is gone. Errors: those of node:fs. */
export function readBundleRecord(bundle: string): BundleRecord | undefined {
  try {
    return JSON.parse(readFileSync(path.join(bundle, NAME), 'utf8')) as BundleRecord;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Nothing is left of the container. */
export function removeBundleRecord(bundle: string): void {
  rmSync(path.join(bundle, NAME), { force: true });
}

/** Nothing is left of the container, nor of anything that its `delete` would have to look for: the answer to that. Errors: those of node:fs. */
export function writeDeletedAnswer(bundle: string, answer: Uint8Array): void {
  writeAtomically(path.join(bundle, DELETED.file), answer);
}

/** Nobody sees half of a file. Errors: those of node:fs. */
export function writeAtomically(file: string, text: string | Uint8Array): void {
  const temporary = path.join(path.dirname(file), temporaryName('.tsrun-'));
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, file);
}
