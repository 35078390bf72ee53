import { readFileSync, readlinkSync } from 'node:fs';
import { isAbsolute, normalize, resolve } from 'node:path';
import type { LeaveOptions } from '../container/build/leave.ts';
import { TsrunError } from '../errors.ts';
import { readCallersOpenFiles, type OpenFilesLimit } from '../host/open-files.ts';
import type { Launched } from './launched.ts';
import { readText } from './read-text.ts';
import { isTerminal } from './terminal.ts';
import { writeText } from './write-text.ts';

/** What stands in a text for bytes that are not UTF-8. */
const REPLACEMENT = '\uFFFD';

/** What the command line takes from the process it runs in, so that tests can stand in for it. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  inUserNamespace(): boolean;
  /** The working directory. Throws ENOENT when it was deleted, and EILSEQ when no text can name it. */
  currentDirectory(): string;
  /** The limit of open files that the caller has, where this process has another; a text where that cannot be told. */
  openFiles(): OpenFilesLimit | string | undefined;
  /** How this process leaves, where it may, and what it finds when it is back. */
  readonly leaving: LeaveOptions;
  /** The text of a file that the command line names; the path is absolute. Errors: those of Node. */
  readFile(path: string): string;
  /** All of standard input as text. Errors: `host`. */
  readStdin(): string;
  /** Characters in a line of the terminal that standard output is; undefined for anything else. */
  columns?(): number | undefined;
  /** Puts a line in the place of the one that was written so before, where standard error is a terminal; an empty one removes it. */
  readonly writeProgress?: ((line: string) => void) | undefined;
  /** False when whoever read it has gone away. */
  writeStdout(text: string): boolean;
}

/** The surroundings of this process. */
export function processSurroundings(launched?: Launched): Surroundings {
  return {
    environment: process.env,
    pid: process.pid,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    inUserNamespace: () => !isInitialIdMap(readFileSync('/proc/self/uid_map', 'latin1')),
    currentDirectory: () => currentDirectory(launched),
    openFiles: () => openFiles(launched),
    leaving: launched === undefined ? {} : leavingOf(launched),
    readFile: (path) => readFileSync(path, 'utf8'),
    readStdin: () => readText(0),
    // Only what is asked for brings node:tty with it.
    columns: () => (isTerminal(1) ? process.stdout.columns : undefined),
    // Carriage return, and erase to the end of the line (ECMA-48, EL).
    writeProgress: isTerminal(2) ? (line) => writeText(2, `\r\u001b[K${line}`) : undefined,
    writeStdout: (text) => writeText(1, text),
  };
}

/** The engine of the executable finds everything else that it was started with as it was. */
function leavingOf({ again, answer }: Launched): LeaveOptions {
  const args = [process.argv0, ...process.argv.slice(2)];
  return { leave: { ...again, path: process.execPath, args }, ...(answer !== undefined && { answer }) };
}

function currentDirectory(launched: Launched | undefined): string {
  const errno = launched?.workingDirectoryErrno;
  if (errno !== undefined) throw Object.assign(new Error(errno), { code: errno });
  const directory = process.cwd();
  if (isExact(directory, () => readlinkSync('/proc/self/cwd', { encoding: 'buffer' }))) return directory;
  throw Object.assign(new Error('not UTF-8'), { code: 'EILSEQ' });
}

function openFiles(launched: Launched | undefined): OpenFilesLimit | string | undefined {
  if (launched === undefined) return readCallersOpenFiles({ own: '/proc/self', parent: `/proc/${process.ppid}` });
  return launched.openFiles?.soft === launched.openFiles?.hard ? undefined : launched.openFiles;
}

/**
 * Refuses arguments that are not UTF-8: the engine has put U+FFFD in the place of what it could not read, and the text would name
 * another file. Errors: `usage`.
 */
export function requireExactArguments(args: readonly string[]): void {
  const index = args.findIndex((arg, at) => !isExact(arg, () => readRawArgument(at - args.length)));
  if (index < 0) return;
  const shown = JSON.stringify(args[index]);
  throw new TsrunError('usage', `read argument ${index + 1}, ${shown}: wanted UTF-8, found other bytes`, {
    errno: 'EILSEQ',
  });
}

/** The bytes of an argument, counted from the end: -1 is the last. */
function readRawArgument(index: number): Buffer {
  const all = readFileSync('/proc/self/cmdline', 'latin1').split('\0').slice(0, -1);
  return Buffer.from(all.at(index) ?? '', 'latin1');
}

/** Whether a text that the engine made of bytes says exactly those. */
function isExact(text: string, readBytes: () => Buffer): boolean {
  return !text.includes(REPLACEMENT) || readBytes().equals(Buffer.from(text));
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
    const reason = (error as NodeJS.ErrnoException).code === 'EILSEQ' ? ', whose path is not UTF-8' : '';
    throw TsrunError.of('host', `find the working directory${reason}`, error);
  }
}
