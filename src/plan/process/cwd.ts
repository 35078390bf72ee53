import { addressOf, at, block, call, equals, failWhen, isNegative, not, unless, when } from '../../program/build.ts';
import type { Block, Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import type { PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { components, ensureInRoot } from '../base/handles.ts';
import { withHandle } from '../base/with-handle.ts';
import { errnoText } from '../../util/errno.ts';

/**
 * config.md, "Process": `cwd`. Three pieces, in this order:
 *
 *     planMakeCwd      with the mounts, before the rootfs becomes read-only
 *     planEnterCwd     before the uid changes: root may enter what the user may not
 *     planRetryCwd     after it: on NFS with root squash only the user may
 *
 * Whichever of the last two gets in verifies where it is.
 */

const POINTER = '/process/cwd';
/** PATH_MAX: getcwd(2) never answers more. */
const LONGEST_PATH = 4096;

/** Makes the working directory inside the rootfs, with what is missing above it, mode 0755. */
export function planMakeCwd(context: PlanContext, process: Process): Step[] {
  if (components(process.cwd).length === 0) return [];
  const options = { kind: 'directory', pointer: POINTER } as const;
  const open = (target: Region): Step[] => ensureInRoot(context, process.cwd, target, options);
  return withHandle(context, { name: 'target', open }, () => []);
}

/** Where the steps below leave what the kernel answered. */
export interface CwdAnswers {
  /** The result of the attempt as root. */
  readonly entered: Region;
  /** The path, as getcwd(2) tells it. */
  readonly path: Block;
}

/** Room for the answers: the word lives as long as init, the path only as long as the packet of the program that verifies. */
export function allocateCwdAnswers({ memory }: Pick<PlanContext, 'memory'>): CwdAnswers {
  return {
    entered: memory.word('cwd-entered'),
    path: block(new Uint8Array(LONGEST_PATH), '<current working directory>'),
  };
}

/** Enters the working directory where root may, and verifies it. */
export function planEnterCwd(process: Process, answers: CwdAnswers): Step[] {
  const { entered } = answers;
  return [
    call('chdir', [process.cwd], {
      ...textsOf(process),
      accept: ['EPERM', 'EACCES'],
      result: entered,
    }),
    ...unless(isNegative(entered), verifyCwd(process, answers), 'verify it when root could enter'),
  ];
}

/** Enters the working directory as the user, and verifies it, when root could not. */
export function planRetryCwd(process: Process, answers: CwdAnswers): Step[] {
  const { entered } = answers;
  const texts = textsOf(process);
  const steps = [
    call('chdir', [process.cwd], { ...texts, accept: ['EACCES'], result: entered }),
    // Callers look for these words to tell a program that cannot be run (exit status 126) from other failures.
    failWhen(failedWith(entered, 'EACCES'), 'EACCES', {
      ...texts,
      failure: texts.failure.replace('{errno}', errnoText('EACCES')),
    }),
    ...verifyCwd(process, answers),
  ];
  return when(isNegative(entered), steps, 'retry as the user when root could not enter');
}

function textsOf({ cwd }: Process) {
  const shown = JSON.stringify(cwd);
  return {
    label: `exec: enter working directory ${shown}`,
    failure: `chdir to cwd (${shown}) set in config.json failed: {errno}`,
    pointer: POINTER,
    code: 'program',
  } as const;
}

/**
 * Fails when the working directory is outside the container: a `cwd` such as /proc/self/fd/7 would otherwise lead into the host
 * through a descriptor that leaked (CVE-2024-21626). The kernel then answers ENOENT or `(unreachable)/...`.
 */
function verifyCwd(process: Process, { path }: CwdAnswers): Step[] {
  const shown = JSON.stringify(process.cwd);
  const startsWithSlash = equals(at(path, 0), BigInt('/'.charCodeAt(0)), { mask: 0xffn, text: 'it starts with "/"' });
  const options = {
    label: `exec: verify working directory ${shown}`,
    pointer: POINTER,
    failure: `current working directory ${shown} is outside of container mount namespace root -- possible container breakout detected`,
    code: 'program',
  } as const;
  return [call('getcwd', [addressOf(path), LONGEST_PATH], options), failWhen(not(startsWithSlash), 'ENOENT', options)];
}
