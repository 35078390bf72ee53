import path from 'node:path';
import type * as library from '../../../src/index.ts';
import type { Rig } from './rig.ts';
import { nodeScript, tsrunFile } from './surroundings.ts';

/** The library as it is built, beside the command on Node. */
export const libraryFile = path.join(path.dirname(tsrunFile.endsWith('.js') ? tsrunFile : nodeScript), 'index.mjs');

export async function importLibrary(): Promise<typeof library> {
  return (await import(libraryFile)) as typeof library;
}

/** For containers of a rig; `note` gets the text of warnings and errors. */
export function libraryOptions(rig: Rig, note: (message: string) => void = () => undefined) {
  return {
    root: rig.root,
    cgroupManager: rig.usesSystemd ? 'systemd' : 'cgroupfs',
    cacheDirectory: rig.path('cache'),
    log: { warn: note, error: note },
  } as const satisfies library.RuntimeOptions;
}
