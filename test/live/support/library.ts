import path from 'node:path';
import type * as library from '../../../src/index.ts';
import type { Rig } from './rig.ts';
import { tsrunFile } from './surroundings.ts';

/** The library as it is built, beside the command that the tests call. */
export async function importLibrary(): Promise<typeof library> {
  return (await import(path.join(path.dirname(tsrunFile), 'index.mjs'))) as typeof library;
}

/** For containers of a rig; `note` gets the text of warnings and errors. */
export function libraryRuntime(rig: Rig, note: (message: string) => void = () => undefined): library.Runtime {
  return {
    root: rig.root,
    cgroupManager: rig.usesSystemd ? 'systemd' : 'cgroupfs',
    cacheDirectory: rig.path('cache'),
    log: { debug: () => undefined, warning: note, error: note },
  };
}
