/** The annotation `run.tsrun.overlay`. */
import type { Issue } from '../../errors.ts';
import { configAnnotations } from '../annotations.ts';
import { readOverlay } from '../overlay.ts';
import { pointerTo } from '../pointer.ts';
import { type DraftConfig } from './draft.ts';

/** A layer is wanted with `true`, or says where it lies and over what. */
export function checkOverlay({ annotations }: DraftConfig): Issue[] {
  const key = configAnnotations.overlay;
  const text = annotations?.[key];
  if (typeof text !== 'string') return [];
  const found = readOverlay({ [key]: text });
  return typeof found === 'string' ? [{ pointer: pointerTo('/annotations', key), message: found }] : [];
}
