/** The annotation `run.tsrun.landlock`. */
import type { Issue } from '../../errors.ts';
import { LANDLOCK_ANNOTATION, readLandlock } from '../landlock.ts';
import { pointerTo } from '../pointer.ts';
import { type DraftConfig } from './draft.ts';

/** Rules for Landlock are lists of absolute paths. */
export function checkLandlock({ annotations }: DraftConfig): Issue[] {
  const text = annotations?.[LANDLOCK_ANNOTATION];
  if (typeof text !== 'string') return [];
  const found = readLandlock({ [LANDLOCK_ANNOTATION]: text });
  return typeof found === 'string' ? [{ pointer: pointerTo('/annotations', LANDLOCK_ANNOTATION), message: found }] : [];
}
