import path from 'node:path';
import type * as library from '../../../src/index.ts';
import type { Rig } from './rig.ts';
import { nodeScript, tsrunFile } from './surroundings.ts';

/** The library as it is built, beside the command on Node. */
export async function importLibrary(): Promise<typeof library> {
  return (await import(
    path.join(path.dirname(tsrunFile.endsWith('.js') ? tsrunFile : nodeScript), 'index.mjs')
  )) as typeof library;
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
