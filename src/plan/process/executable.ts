import { addressOf, at, call, failWhen, isNegative, isZero, not, unless, when } from '../../program/build.ts';
import type { Condition, Memory, Place, Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { AT_EACCESS, AT_FDCWD, S_IFREG, STATX_BASIC_STATS, X_OK } from '../../util/constants.ts';
import { errnoText, type Errno } from '../../util/errno.ts';
import type { PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { isDirectory, isFileType } from '../base/handles.ts';
import { wording } from '../../util/wording.ts';

/**
 * Looking up the program inside the container, as execvp(3) and Go's exec.LookPath do, without asking the parent.
 *
 * The answer is a region of words in init's memory:
 *
 *     word 0       not zero: the program was found
 *     word 1 + i   not zero: it is candidate i
 *
 * The texts of the failures are runc's: dockerd and podman tell exit status 127 (not found) from 126 (cannot be run) by them.
 * Only the errno's name stands behind runc's words: these steps have no JSON pointer, which would be appended.
 */

/** What a shell searches when PATH is not set (crun, and _PATH_STDPATH of paths.h). */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** PATH entries that are searched; a word of init's memory each, of which there are 512. */
const MAX_CANDIDATES = 64;

/** Where a program without a slash in its name is looked for, as PATH has it. */
export function searchPathOf({ env }: Pick<Process, 'env'>): string {
  return env?.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH;
}

/** Where the program may be, in the order of the search: argv[0] itself when it has a slash, else below each entry of PATH. */
export function candidates(process: Process): string[] {
  return allCandidates(process).slice(0, MAX_CANDIDATES);
}

function allCandidates(process: Process): string[] {
  const name = process.args?.[0] ?? '';
  if (name.includes('/')) return [name];
  if (name === '') return [];
  // Of two entries with the same name the later wins.
  const path = searchPathOf(process);
  const directories = path.split(':').map((entry) => (entry === '' ? '.' : entry));
  return [...new Set(directories)].map((directory) =>
    directory.endsWith('/') ? directory + name : `${directory}/${name}`,
  );
}

/** The words for the answer of `planFindExecutable`. */
export function allocateFound(memory: Memory, process: Process): Region {
  return memory.buffer('found', 8 * (1 + candidates(process).length));
}

/** Holds when candidate `index` is the program, for steps of the same conversation. */
export function isFound(found: Region, index: number): Condition {
  return not(isZero(at(found, 8 * (1 + index))));
}

/** The path of the program, from the values of the words of `found`. Throws when none is marked: a bug. */
export function readExecutable(process: Process, found: readonly bigint[]): string {
  const path = candidates(process).find((_, index) => (found[1 + index] ?? 0n) !== 0n);
  if (path === undefined) throw new Error('bug: init found the program but did not say where');
  return path;
}

/**
 * Looks for the program as the process that will execute it: after its root, working directory and user are set. Fails when
 * there is none.
 * No seccomp filter is on yet: profiles of before 2020 know neither of the calls.
 */
export function planFindExecutable(context: PlanContext, process: Process, found: Region): Step[] {
  const name = process.args?.[0] ?? '';
  if (name.includes('/')) return lookAt(context, name, found);
  const paths = candidates(process);
  const ignored = allCandidates(process).length - paths.length;
  if (ignored > 0)
    context.warnings.push(`the last ${ignored} entries of PATH are not searched for ${JSON.stringify(name)}`);
  return search(context, { name, paths, found });
}

/** A path: the failure says what is wrong with it. */
function lookAt(context: PlanContext, path: string, found: Region): Step[] {
  const { answer } = context.slots;
  const shown = `exec: ${JSON.stringify(path)}`;
  const label = `${shown}: look for it`;
  const fail = (condition: Condition, errno: Errno, text: string): Step =>
    failWhen(condition, errno, { label, failure: `${shown}: ${text}`, code: 'program' });
  return [
    call('statx', [AT_FDCWD, path, 0, STATX_BASIC_STATS, addressOf(context.slots.stat)], {
      label,
      failure: `${shown}: stat ${path}: {errno}`,
      code: 'program',
      accept: ['ENOENT', 'ENOTDIR', 'EACCES'],
      result: answer,
    }),
    fail(failedWith(answer, 'ENOENT'), 'ENOENT', `stat ${path}: ${errnoText('ENOENT')}`),
    fail(failedWith(answer, 'ENOTDIR'), 'ENOTDIR', `stat ${path}: ${errnoText('ENOTDIR')}`),
    fail(failedWith(answer, 'EACCES'), 'EACCES', `stat ${path}: ${errnoText('EACCES')}`),
    // dockerd before 23 knows no other word than the second for it, as execve(2) gives that errno.
    fail(isDirectory(context), 'EISDIR', `${wording.EISDIR}: ${errnoText('EACCES')}`),
    // execve(2) answers EACCES to FIFOs and the like.
    fail(not(isRegular(context)), 'EACCES', errnoText('EACCES')),
    checkAccess(path, answer, { label, failure: `${shown}: {errno}`, accept: ['EACCES'] }),
    fail(failedWith(answer, 'EACCES'), 'EACCES', errnoText('EACCES')),
    ...mark(found, 0, shown),
  ];
}

interface Search {
  readonly name: string;
  readonly paths: readonly string[];
  readonly found: Region;
}

/** A name: what cannot be executed is passed over, as if it were not there. */
function search(context: PlanContext, { name, paths, found }: Search): Step[] {
  const shown = `exec: ${JSON.stringify(name)}`;
  const steps = paths.flatMap((path, index) => {
    const look = lookFor(context, path, { found, index, shown });
    return index === 0 ? look : when(isZero(at(found, 0)), look, `${shown}: go on unless it is found`);
  });
  const notFound = {
    label: `${shown}: look for it`,
    failure: `${shown}: ${wording.notInPath}`,
    code: 'program',
    purpose: 'find program',
  } as const;
  return [...steps, failWhen(isZero(at(found, 0)), 'ENOENT', notFound)];
}

interface Look {
  readonly found: Region;
  readonly index: number;
  readonly shown: string;
}

function lookFor(context: PlanContext, path: string, { found, index, shown }: Look): Step[] {
  const { answer, stat } = context.slots;
  const label = `${shown}: look for ${JSON.stringify(path)}`;
  const tryIt = [
    checkAccess(path, answer, { label, accept: 'any' }),
    ...unless(not(isZero(answer)), mark(found, index, shown), `${shown}: pass over what cannot be executed`),
  ];
  return [
    call('statx', [AT_FDCWD, path, 0, STATX_BASIC_STATS, addressOf(stat)], {
      label,
      accept: 'any',
      result: answer,
      code: 'program',
    }),
    ...unless(
      isNegative(answer),
      when(isRegular(context), tryIt, `${shown}: pass over what is no file`),
      `${shown}: pass over what is not there`,
    ),
  ];
}

function isRegular(context: PlanContext): Condition {
  return isFileType(context, S_IFREG, 'a regular file');
}

interface AccessOptions {
  readonly label: string;
  readonly failure?: string;
  readonly accept: readonly Errno[] | 'any';
}

function checkAccess(path: string, result: Region, options: AccessOptions): Step {
  return call('faccessat2', [AT_FDCWD, path, X_OK, AT_EACCESS], { ...options, result, code: 'program' });
}

/** getpid(2) cannot fail, changes nothing, and its result is not zero. */
function mark(found: Region, index: number, shown: string): Step[] {
  const set = (place: Place): Step =>
    call('getpid', [], { label: `${shown}: note where it is`, result: place, code: 'program' });
  return [set(at(found, 0)), set(at(found, 8 * (1 + index)))];
}
