import { readFileSync } from 'node:fs';
import { isAbsolute, normalize, resolve } from 'node:path';
import { TsrunError } from '../errors.ts';
import { readText } from './read-text.ts';
import { writeText } from './write-text.ts';

/** What the command line takes from the process it runs in, so that tests can stand in for it. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  inUserNamespace(): boolean;
  /** The working directory. Throws ENOENT when it was deleted. */
  currentDirectory(): string;
  /** All of standard input as text. Errors: `host`. */
  readStdin(): string;
  /** False when whoever read it has gone away. */
  writeStdout(text: string): boolean;
}

/** The surroundings of this process. */
export function processSurroundings(): Surroundings {
  return {
    environment: process.env,
    pid: process.pid,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    inUserNamespace: () => !isInitialIdMap(readFileSync('/proc/self/uid_map', 'latin1')),
    currentDirectory: () => process.cwd(),
    readStdin: () => readText(0),
    writeStdout: (text) => writeText(1, text),
  };
}

/** Whether the text of a uid_map maps every user to itself, as only the initial user namespace does. Source: man 7 user_namespaces. */
export function isInitialIdMap(text: string): boolean {
  return text.trim().split(/\s+/).join(' ') === '0 0 4294967295';
}

/**
 * A path of the command line as an absolute one; an empty path counts as not given, as for runc.
 *
 * The working directory is only asked for when a path needs it: conmon may run tsrun in one that was deleted.
 * Errors: `host` in that case.
 */
export function absolutePath(path: string | undefined, surroundings: Surroundings): string | undefined {
  if (path === undefined || path === '') return undefined;
  return isAbsolute(path) ? normalize(path) : resolve(workingDirectory(surroundings), path);
}

/** The working directory. Errors: `host` when it was deleted. */
export function workingDirectory(surroundings: Surroundings): string {
  try {
    return surroundings.currentDirectory();
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new TsrunError('host', `find the working directory: ${errno}`, { cause: error, errno });
  }
}
