import { addressOf, at, block, call, equals, failWhen, isNegative, not, when } from '../program/build.ts';
import type { Region, Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import type { PlanContext } from './context.ts';
import { failedWith } from './failed-with.ts';
import { closeWord, components, ensureInRoot } from './handles.ts';
import { words } from '../util/words.ts';

/**
 * config.md, "Process": `cwd`. Four pieces, in this order:
 *
 *     planMakeCwd      with the mounts, before the rootfs becomes read-only
 *     planEnterCwd     before the uid changes: root may enter what the user may not
 *     planRetryCwd     after it: on NFS with root squash only the user may
 *     planVerifyCwd    last
 */

const POINTER = '/process/cwd';

/** Makes the working directory inside the rootfs, with what is missing above it, mode 0755. */
export function planMakeCwd(context: PlanContext, process: Process): Step[] {
  if (components(process.cwd).length === 0) return [];
  const { target } = context.words;
  return [...ensureInRoot(context, process.cwd, { kind: 'directory', pointer: POINTER }), closeWord(target)];
}

/** Enters the working directory where root may; `entered` holds the result for `planRetryCwd`. */
export function planEnterCwd(process: Process, entered: Region): Step[] {
  return [
    call('chdir', [process.cwd], {
      ...texts(process),
      accept: ['EPERM', 'EACCES'],
      result: entered,
    }),
  ];
}

/** Enters the working directory as the user when root could not. */
export function planRetryCwd(process: Process, entered: Region): Step[] {
  const { label, failure } = texts(process);
  const steps = [
    call('chdir', [process.cwd], { label, failure, pointer: POINTER, accept: ['EACCES'], result: entered }),
    // Callers look for these words to tell a program that cannot be run (exit status 126) from other failures.
    failWhen(failedWith(entered, 'EACCES'), 'EACCES', {
      label,
      failure: failure.replace('{errno}', words.EACCES),
      pointer: POINTER,
    }),
  ];
  return when(isNegative(entered), steps, 'retry as the user when root could not enter');
}

function texts({ cwd }: Process): { label: string; failure: string; pointer: string } {
  const shown = JSON.stringify(cwd);
  return {
    label: `exec: enter working directory ${shown}`,
    failure: `chdir to cwd (${shown}) set in config.json failed: {errno}`,
    pointer: POINTER,
  };
}

/** PATH_MAX: getcwd(2) never answers more. */
const LONGEST_PATH = 4096;

/**
 * Fails when the working directory is outside the container: a `cwd` such as /proc/self/fd/7 would otherwise lead into the host
 * through a descriptor that leaked (CVE-2024-21626). The kernel then answers ENOENT or `(unreachable)/...`.
 */
export function planVerifyCwd(process: Process): Step[] {
  const shown = JSON.stringify(process.cwd);
  const answer = block(new Uint8Array(LONGEST_PATH), '<current working directory>');
  const startsWithSlash = equals(at(answer, 0), BigInt('/'.charCodeAt(0)), { mask: 0xffn, text: 'it starts with "/"' });
  const options = {
    label: `exec: verify working directory ${shown}`,
    pointer: POINTER,
    failure: `current working directory ${shown} is outside of container mount namespace root -- possible container breakout detected`,
  };
  return [
    call('getcwd', [addressOf(answer), LONGEST_PATH], options),
    failWhen(not(startsWithSlash), 'ENOENT', options),
  ];
}
