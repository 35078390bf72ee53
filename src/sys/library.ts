import { createRequire } from 'node:module';
import path from 'node:path';
import type koffiType from 'koffi';
import { TsrunError } from '../errors.ts';

type Koffi = typeof koffiType;
/** A C function: called directly it blocks this thread; `async` runs it on a thread of the pool, the callback comes last. */
export interface CFunction {
  (...args: unknown[]): number;
  async(...args: unknown[]): void;
}

/** Set by the build of the executable: the name of koffi's compiled module beside it. */
declare const TSRUN_KOFFI_FILE: string | undefined;

let koffi: Koffi | undefined;
let libc: { readonly load: (prototype: string) => CFunction } | undefined;

/**
 * koffi, loaded once. Its compiled module is opened directly: the JavaScript in front of it costs more than three times as
 * much start-up and adds nothing that tsrun uses.
 */
export function loadKoffi(): Koffi {
  koffi ??= typeof TSRUN_KOFFI_FILE === 'undefined' ? requireKoffi() : openKoffi(TSRUN_KOFFI_FILE);
  return koffi;
}

function requireKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  try {
    return require(`@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`) as Koffi;
  } catch {
    return require('koffi') as Koffi;
  }
}

/**
 * Only the directory of the executable itself is looked at: whoever can write there can replace the executable as well.
 * Errors: `host`.
 */
function openKoffi(name: string): Koffi {
  const file = path.join(path.dirname(process.execPath), name);
  const loaded: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(loaded, file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TsrunError('host', `load ${JSON.stringify(file)}, which belongs beside the executable: ${reason}`, {
      cause,
    });
  }
  return loaded.exports as Koffi;
}

/**
 * Binds a function of the C library by its prototype, such as `int dup3(int, int, int)`. The binding is made at the first call.
 *
 * Errors: `host` when the C library or the function is not there.
 */
export function bindLibc(prototype: string): CFunction {
  let bound: CFunction | undefined;
  const get = (): CFunction => (bound ??= loadLibc().load(prototype));
  const lazy = (...args: unknown[]): number => get()(...args);
  return Object.assign(lazy, {
    async: (...args: unknown[]): void => {
      get().async(...args);
    },
  });
}

/**
 * The same for a function of another library: one by its file name, or what the executable of this process exports itself (`program`).
 *
 * Errors: `host` when there is none.
 */
export function bindLibrary(name: string, prototype: string): CFunction {
  let bound: CFunction | undefined;
  const get = (): CFunction =>
    (bound ??= (name === 'program' ? loadKoffi().load(null) : openLibrary([name])).func(prototype));
  const lazy = (...args: unknown[]): number => get()(...args);
  return Object.assign(lazy, {
    async: (...args: unknown[]): void => {
      get().async(...args);
    },
  });
}

function loadLibc(): { readonly load: (prototype: string) => CFunction } {
  if (libc !== undefined) return libc;
  const library = openLibrary(['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']);
  libc = { load: (prototype) => library.func(prototype) };
  return libc;
}

/** Opens the first shared library of the list that is installed. Errors: `host`. */
export function openLibrary(names: readonly string[]): ReturnType<Koffi['load']> {
  const problems: string[] = [];
  for (const name of names) {
    try {
      return loadKoffi().load(name);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new TsrunError('host', `load a shared library of ${JSON.stringify(names)}: ${problems.join('; ')}`);
}
