import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { explainCause, TsrunError } from '../errors.ts';

/** Largest control file that is read; cgroup.procs of a busy cgroup is the longest. */
const READ_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Writes a value into a control file with one write(2), since the kernel parses each write by itself.
 *
 * Errors: those of node:fs, unchanged; `label` and the path are for the caller to add. The file is never created.
 */
export function writeControlFile(path: string, value: string): void {
  using file = openControlFile(path);
  file.write(value);
}

/** A control file that is open for several values, each of them one write(2). Errors: those of node:fs, unchanged. */
export interface OpenControlFile extends Disposable {
  readonly path: string;
  write(value: string): void;
}

/** Opens a control file for writing. The descriptor is the caller's. Errors: those of node:fs. */
export function openControlFile(path: string): OpenControlFile {
  // NOFOLLOW: a cgroup file system has no symlinks, so that one means we are elsewhere.
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  return {
    path,
    write: (value) => {
      writeSync(fd, value, 0);
    },
    [Symbol.dispose]: () => {
      closeSync(fd);
    },
  };
}

/** Filled for each read and taken over at once. */
const CHUNK = Buffer.alloc(4096);

/** The text of a control file without the final line feed. Errors: those of node:fs. */
export function readControlFile(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    // Numbers and names of the kernel, nothing beyond ASCII.
    let text = '';
    while (text.length < READ_BYTES_MAX) {
      const count = readSync(fd, CHUNK);
      if (count === 0) break;
      text += CHUNK.toString('latin1', 0, count);
    }
    return text.endsWith('\n') ? text.slice(0, -1) : text;
  } finally {
    closeSync(fd);
  }
}

/** As readControlFile, but undefined where there is no such file or cgroup (any more). */
export function tryReadControlFile(path: string): string | undefined {
  try {
    return readControlFile(path);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** True for the error of a control file that is not there (any more): a cgroup that vanishes while it is open answers ENODEV. */
export function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV'].includes(errnoOf(error));
}

/** The errno's name of an error of node:fs; the empty string for any other. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** A failure of code `cgroup`; its issue has the JSON pointer of what asked for it. */
export function cgroupError(action: string, cause: unknown, pointer?: string): TsrunError {
  return TsrunError.of('cgroup', action, cause, {
    issues: pointer === undefined ? [] : [{ pointer, message: explainCause(cause) }],
  });
}
