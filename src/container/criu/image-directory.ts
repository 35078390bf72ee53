import {
  chmodSync,
  chownSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { readPart } from '../../sys/io.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { temporaryName } from '../../sys/temporary-name.ts';
import { O_NONBLOCK, O_RDONLY } from '../../util/constants.ts';
import { readBounded } from '../store/read-bounded.ts';

const DESCRIPTORS_FILE = 'descriptors.json';
const DESCRIPTORS_BYTES_MAX = 64 * 1024;
/** The standard descriptors. */
const DESCRIPTORS = 3;
/** CRIU makes this link to the image of what was saved before. */
const PARENT_LINK = 'parent';
/** What CRIU writes into its work directory. */
const WRITTEN_BESIDE = /^(?:dump\.log|restore\.log|stats-.*|irmap-.*|.*\.img)$/;
/** Where `criu lazy-pages` is asked for memory. */
const LAZY_SOCKET = 'lazy-pages.socket';
/** Of a log the end is read: an error is the last that it has. */
const LOG_BYTES_MAX = 4 * 1024 * 1024;

/** A directory of CRIU's. The handle is the caller's. */
export interface CriuDirectory extends Disposable {
  readonly path: string;
  readonly handle: OwnedFd;
}

/**
 * Makes a directory for CRIU, where it is not there, and opens it. Images are everybody's to read, and hold all that the program knows: the
 * directory is closed to all but this user, and the group that is root's in the container's user namespace, which reads them to restore
 * itself. Errors: `criu`.
 */
export function makeDirectory(hostPath: string, group?: number): CriuDirectory {
  try {
    const made = mkdirSync(hostPath, { recursive: true, mode: 0o700 });
    if (made !== undefined && group !== undefined) {
      chownSync(hostPath, -1, group);
      chmodSync(hostPath, 0o710);
    }
  } catch (error) {
    throw TsrunError.of('criu', `make directory ${JSON.stringify(hostPath)}`, error);
  }
  return openDirectory(hostPath);
}

/** Opens one that is there. Errors: `criu`. */
export function openDirectory(hostPath: string): CriuDirectory {
  try {
    const handle = openFile(hostPath, O_RDONLY | O_DIRECTORY);
    return {
      path: hostPath,
      handle,
      [Symbol.dispose]: () => {
        handle.close();
      },
    };
  } catch (error) {
    throw TsrunError.of('criu', `open directory ${JSON.stringify(hostPath)} of an image`, error);
  }
}

/**
 * Refuses a directory in which CRIU would be led elsewhere: it follows links where it writes its log and images as root, and waits where
 * somebody has put a pipe. So is one that its links to earlier images lead to. Errors: `criu`.
 */
export function requirePlainFiles(directory: CriuDirectory): void {
  const seen = new Set<string>();
  let hostPath = descriptorPath(directory.handle.number);
  for (let shown = directory.path; ; shown = path.join(shown, PARENT_LINK)) {
    const found = statDirectory(hostPath, shown);
    const key = `${found.dev}:${found.ino}`;
    if (seen.has(key)) throw refused(shown, 'its links to earlier images go round in a circle');
    seen.add(key);
    let hasParent = false;
    for (const entry of readdirSync(hostPath, { withFileTypes: true })) {
      if (entry.name === PARENT_LINK && entry.isSymbolicLink()) hasParent = true;
      else if (entry.name === LAZY_SOCKET && entry.isSocket()) continue;
      else if (!entry.isFile() && !entry.isDirectory())
        throw refused(shown, `${JSON.stringify(entry.name)} in it is no plain file`);
    }
    if (!hasParent) return;
    hostPath = `${hostPath}/${PARENT_LINK}`;
  }
}

/** The same of a directory that has CRIU's log alone: whatever else is in it, such as pipes of a monitor's, is somebody else's. Errors: `criu`. */
export function requirePlainLogs({ path: shown, handle }: CriuDirectory): void {
  for (const entry of readdirSync(descriptorPath(handle.number), { withFileTypes: true }))
    if (WRITTEN_BESIDE.test(entry.name) && !entry.isFile())
      throw refused(shown, `${JSON.stringify(entry.name)} in it is no plain file`);
}

function statDirectory(hostPath: string, shown: string): { readonly dev: number; readonly ino: number } {
  try {
    const found = statSync(hostPath);
    if (found.isDirectory()) return found;
  } catch (error) {
    throw TsrunError.of('criu', `use image ${JSON.stringify(shown)}`, error);
  }
  throw refused(shown, 'it is no directory');
}

function refused(shown: string, why: string): TsrunError {
  return new TsrunError('criu', `use image ${JSON.stringify(shown)}: ${why}, wanted plain files that CRIU has made`);
}

/** Keeps what the program's standard descriptors are. Errors: `criu`. */
export function writeDescriptors({ path: shown, handle }: CriuDirectory, descriptors: readonly string[]): void {
  const directory = descriptorPath(handle.number);
  const temporary = `${directory}/${temporaryName(`.${DESCRIPTORS_FILE}.`)}`;
  try {
    writeFileSync(temporary, JSON.stringify(descriptors), { flag: 'wx', mode: 0o600 });
    renameSync(temporary, `${directory}/${DESCRIPTORS_FILE}`);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw TsrunError.of('criu', `write ${JSON.stringify(path.join(shown, DESCRIPTORS_FILE))}`, error);
  }
}

/** What `writeDescriptors` kept; whoever may write to the directory may have changed it. Errors: `criu`. */
export function readDescriptors({ path: shown, handle }: CriuDirectory): readonly string[] {
  const name = path.join(shown, DESCRIPTORS_FILE);
  const options = { limitBytes: DESCRIPTORS_BYTES_MAX, plain: true, code: 'criu', shown: name } as const;
  let value: unknown;
  try {
    value = JSON.parse(readBounded(`${descriptorPath(handle.number)}/${DESCRIPTORS_FILE}`, options).toString('utf8'));
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    if (error instanceof SyntaxError) throw wrongDescriptors(name);
    throw TsrunError.of('criu', `read ${JSON.stringify(name)}`, error);
  }
  const isWhole = Array.isArray(value) && value.length <= DESCRIPTORS && value.every((one) => typeof one === 'string');
  if (!isWhole) throw wrongDescriptors(name);
  return value as string[];
}

function wrongDescriptors(name: string): TsrunError {
  return new TsrunError(
    'criu',
    `read ${JSON.stringify(name)}: it is not what it should be, wanted a JSON array of ${DESCRIPTORS} texts`,
  );
}

/** The end of a log of CRIU's; empty where there is none. */
export function readLog({ handle }: CriuDirectory, name: string): string {
  try {
    using file = openFile(`${descriptorPath(handle.number)}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const { size } = fstatSync(file.number);
    const length = Math.min(size, LOG_BYTES_MAX);
    return readPart(file.number, size - length, length).toString('utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ELOOP', 'ENXIO')) return '';
    throw error;
  }
}
