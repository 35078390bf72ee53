import { fstatSync, readdirSync, readSync } from 'node:fs';
import path from 'node:path';
import { TsrunError, type Issue } from '../../errors.ts';
import { readArch } from '../../host/facts.ts';
import { isAtOrBelow, placeInRootfs } from '../../host/links-in-rootfs.ts';
import { LOOK_BYTES } from '../../plan/base/exchanges.ts';
import { candidates, searchPathOf } from '../../plan/process/executable.ts';
import { explainUnfit, type Look } from '../../plan/process/explain-unfit.ts';
import type { BundleFacts } from '../../plan/base/facts.ts';
import type { Config, Process } from '../../spec/generated/config.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile, openInRoot } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY } from '../../util/constants.ts';

/** A bundle, as `readBundle` has it. */
export interface BundleToCheck {
  readonly config: Config;
  readonly facts: Pick<BundleFacts, 'rootfs'>;
  readonly overlay?: unknown;
}

/** What is wrong with the program of a bundle. */
export interface ProgramFinding extends Issue {
  /** `warning` where a mount, a layer or an emulator may bring what is missing. */
  readonly severity: 'error' | 'warning';
}

/**
 * Looks for the program of a bundle in its rootfs, and for what it needs to be executed; undefined where nothing is wrong, or nobody may
 * look. Mounts are not followed.
 *
 * By handles below the root, with the symlinks as the container has them, and only regular files are read.
 */
export async function checkProgram({ config, facts, overlay }: BundleToCheck): Promise<ProgramFinding | undefined> {
  const { process, mounts = [] } = config;
  const name = process?.args?.[0] ?? '';
  if (process === undefined || name === '') return undefined;
  using root = openFile(facts.rootfs, O_PATH | O_DIRECTORY);
  const place = (rootfsPath: string): string => placeInRootfs(facts.rootfs, rootfsPath);
  const covers = mounts.map(({ destination }) => place(path.posix.resolve('/', destination)));
  const find = (severity: ProgramFinding['severity'], why: string): ProgramFinding => {
    return { severity, pointer: '/process/args/0', message: `is ${JSON.stringify(name)}: ${why}` };
  };
  /** What is missing may be there all the same. */
  const missing = (paths: readonly string[], why: string): ProgramFinding => {
    if (overlay !== undefined) return find('warning', `${why}, unless a layer brings it`);
    const places = paths.map((missing) => place(from(process.cwd, missing)));
    const cover = mounts.find((_, index) => places.some((at) => isAtOrBelow(at, covers[index] ?? '/')));
    if (cover === undefined) return find('error', why);
    return find('warning', `${why}, unless the mount on ${JSON.stringify(cover.destination)} brings it`);
  };
  const found = findExecutable(root, process);
  if (found === 'unknown') return undefined;
  if ('none' in found) return missing(candidates(process), found.none);
  if ('unfit' in found) return find('error', found.unfit);
  const unfit = await explainUnfit(found.executable, { look: lookIn(root, process.cwd), arch: readArch() });
  if (unfit === undefined) return undefined;
  if (unfit.missing !== undefined) return missing([unfit.missing], unfit.why);
  if (unfit.isForeign === true && hasEmulators())
    return find('warning', `${unfit.why}, unless binfmt_misc has it emulated`);
  return find('error', unfit.why);
}

type Found = { readonly executable: string } | { readonly none: string } | { readonly unfit: string } | 'unknown';

/** As `planFindExecutable` does inside: of a name what cannot be executed is passed over. */
function findExecutable(root: OwnedFd, process: Process): Found {
  const paths = candidates(process);
  const isPath = process.args?.[0]?.includes('/') === true;
  let unfit: string | undefined;
  for (const candidate of paths) {
    const found = lookFor(root, from(process.cwd, candidate));
    if (found === 'fits') return { executable: candidate };
    if (found === 'unknown') return 'unknown';
    if (found !== 'none') unfit ??= isPath ? found : `${JSON.stringify(candidate)} ${found}`;
  }
  if (unfit !== undefined) return { unfit: isPath ? `it ${unfit}` : unfit };
  if (isPath) return { none: 'it is not in the rootfs' };
  return { none: `it is in no directory of the PATH of process.env, "${searchPathOf(process)}", in the rootfs` };
}

/** Nothing is resolved by its text: a directory on the way may be a symlink. */
function from(directory: string, rootfsPath: string): string {
  return rootfsPath.startsWith('/') ? rootfsPath : `${directory}/${rootfsPath}`;
}

/** `none`, `fits`, `unknown` where nobody may look, or what is wrong with it. */
function lookFor(root: OwnedFd, rootfsPath: string): string {
  try {
    using handle = openInRoot(root, rootfsPath);
    const stat = fstatSync(handle.number);
    if (stat.isDirectory()) return 'is a directory';
    if (!stat.isFile()) return 'is no regular file';
    return (stat.mode & 0o111) === 0 ? 'has no permission to execute it: chmod +x' : 'fits';
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return 'none';
    return errno === 'ELOOP' ? 'is a symlink to itself, or behind too many' : 'unknown';
  }
}

function lookIn(root: OwnedFd, cwd: string): Look {
  return ({ path: rootfsPath, offset }) => {
    try {
      using handle = openInRoot(root, from(cwd, rootfsPath));
      // A FIFO or a device stays closed.
      if (!fstatSync(handle.number).isFile()) return Promise.resolve('EACCES');
      using file = openFile(descriptorPath(handle.number), O_RDONLY | O_NONBLOCK | O_NOCTTY);
      const bytes = Buffer.alloc(LOOK_BYTES);
      return Promise.resolve(bytes.subarray(0, readSync(file.number, bytes, 0, bytes.length, offset)));
    } catch (error) {
      return Promise.resolve(errnoOf(error));
    }
  };
}

function errnoOf(error: unknown): string {
  const errno = error instanceof TsrunError ? error.errno : (error as NodeJS.ErrnoException).code;
  if (errno === undefined) throw error;
  return errno;
}

const BINFMT_MISC = '/proc/sys/fs/binfmt_misc';

function hasEmulators(): boolean {
  try {
    return readdirSync(BINFMT_MISC).some((name) => name !== 'register' && name !== 'status');
  } catch {
    // It is not mounted, or closed.
    return false;
  }
}
