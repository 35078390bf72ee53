import type { StepPurpose } from '../../errors.ts';
import { call } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Errno } from '../../util/errno.ts';
import {
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../util/constants.ts';
import { utf8 } from '../../util/utf8.ts';
import type { PlanContext } from './context.ts';
import { OPEN_HOW_SIZE, openHow } from '../../program/structs.ts';

/** What the step is called and fails with (see StepBase in program/step.ts), and which symlinks the lookup follows. */
export interface ProcFileOptions {
  readonly label: string;
  readonly pointer: string;
  readonly failure?: string;
  readonly accept?: readonly Errno[];
  readonly purpose?: StepPurpose;
  /** Follow symlinks that stay below /proc, such as `thread-self`; magic links never. */
  readonly follow?: boolean;
}

/**
 * Opens a file below /proc for writing; the descriptor goes to `file`. `path` has no slash in front.
 *
 * Through the private handle `slots.proc` and without crossing mounts, so that nothing can stand in for the file
 * (CVE-2025-52881). No path here and no link of proc has a `..`, so that no lookup has to be repeated (see `openInRoot`).
 */
export function openProcFile(
  context: PlanContext,
  path: string,
  file: Region,
  { follow, ...options }: ProcFileOptions,
): Step {
  const links = follow === true ? RESOLVE_NO_MAGICLINKS : RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const how = openHow({ flags: O_WRONLY, resolve: RESOLVE_BENEATH | RESOLVE_NO_XDEV | links });
  return call('openat2', [context.slots.proc, path, how, OPEN_HOW_SIZE], { ...options, result: file });
}

/** Writes a text in one write(2), as files of /proc want it. */
export function writeProcFile(file: Region, text: string, options: Omit<ProcFileOptions, 'follow'>): Step {
  return call('write', [file, text, utf8(text).length], options);
}
