import { call, isNegative, unless } from '../../program/build.ts';
import type { Part, Region, Step } from '../../program/step.ts';
import type { PlanContext } from './context.ts';

/** How a handle comes to be, and what its close is called. */
export interface HandleScope {
  /** What the handle is of, as plans print it. */
  readonly name: string;
  /** The steps of which one puts the descriptor into the handle. */
  readonly open: (handle: Region) => readonly Step[];
  /**
   * Opening may end with an errno that is accepted, and the handle is none then: the steps and the close are skipped, by a check with
   * this label.
   */
  readonly optional?: string | true;
  /** Default: `close` and the name. */
  readonly closeLabel?: string;
}

/**
 * The steps that open a handle, those that use it, and its close. The handle lies on the stack of init's memory: what is opened in
 * its scope lies elsewhere, and what is opened behind it may lie in the same place. Nothing may jump out of the scope.
 */
export function withHandle(
  { memory }: Pick<PlanContext, 'memory'>,
  { name, open, optional, closeLabel }: HandleScope,
  use: (handle: Region) => readonly Step[],
): Step[] {
  return memory.withSlot(name, (handle) => {
    const opened = open(handle);
    const used = use(handle);
    const close = closeHandle(handle, closeLabel);
    // Scopes lie in scopes: steps that are copied in each of them take a tenth of the planning.
    if (optional === undefined) return opened.concat(used, close);
    return opened.concat(unless(isNegative(handle), used.concat(close), optional === true ? undefined : optional));
  });
}

/** The same for a handle that is opened in any case, and for series among what uses it. */
export function withHandleFor(
  { memory }: Pick<PlanContext, 'memory'>,
  { name, open, closeLabel }: Omit<HandleScope, 'optional'>,
  use: (handle: Region) => readonly Part[],
): Part[] {
  return memory.withSlot(name, (handle) => [...open(handle), ...use(handle), closeHandle(handle, closeLabel)]);
}

/**
 * Closes a handle. Handles are close-on-exec anyway; closing the many short-lived ones early keeps them within a small
 * RLIMIT_NOFILE of the caller.
 */
export function closeHandle(handle: Region, label = `close ${handle.name}`): Step {
  return call('close', [handle], { label, accept: 'any' });
}
