/** The annotation `run.tsrun.landlock`. */
import type { Issue } from '../../errors.ts';
import { configAnnotations } from '../annotations.ts';
import { readLandlock } from '../landlock.ts';
import { pointerTo } from '../pointer.ts';
import { type DraftConfig } from './draft.ts';

/** Rules for Landlock are lists of absolute paths. */
export function checkLandlock({ annotations }: DraftConfig): Issue[] {
  const key = configAnnotations.landlock;
  const text = annotations?.[key];
  if (typeof text !== 'string') return [];
  const found = readLandlock({ [key]: text });
  return typeof found === 'string' ? [{ pointer: pointerTo('/annotations', key), message: found }] : [];
}
