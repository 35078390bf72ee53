import type { Test } from 'tap';
import { expectSuccess, type Rig } from './rig.ts';

/** Unpacks an image, into one directory unless `flags` say otherwise. Returns the bundle. */
export async function unpack(t: Test, rig: Rig, image: string, flags: readonly string[] = ['--flat']): Promise<string> {
  const bundle = rig.fresh('bundle');
  expectSuccess(t, await rig.tsrun(['unpack', ...flags, image, bundle]), `unpack ${image}`);
  return bundle;
}
