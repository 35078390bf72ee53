import type { Arch } from '../../program/calls.ts';
import { findLoader, machineName, readFormat, readLoader, type ElfFormat } from './executable-format.ts';
import type { UnfitErrno } from './unfit.ts';

/** A file that is looked at from a place on: its bytes, fewer at its end, or why there are none. */
export type Look = (place: { readonly path: string; readonly offset: number }) => Promise<Uint8Array | string>;

/** How a file is looked at, and for which machine. */
export interface Looking {
  readonly look: Look;
  readonly arch: Arch;
}

/** What execve(2) answers to what is wrong, and what that is, as a clause. */
export interface Unfit {
  readonly errno: UnfitErrno;
  readonly why: string;
  /** The path that leads to nothing. */
  readonly missing?: string;
  /** It is for another machine, which an emulator of the host may stand in for (binfmt_misc). */
  readonly isForeign?: true;
}

/** An interpreter that is a script has one in turn, and so on: the kernel goes no further (fs/exec.c). */
const DEPTH_MAX = 5;
const MACHINES: Readonly<Record<Arch, number>> = { 'x86-64': 62, arm64: 183 };
/** Programs that a kernel of this machine may execute beside its own: i386, arm. */
const COMPATIBLE: Readonly<Record<Arch, number>> = { 'x86-64': 3, arm64: 40 };

/** Why a file cannot be executed; undefined where nothing is found, or it cannot be read. */
export async function explainUnfit(path: string, looking: Looking): Promise<Unfit | undefined> {
  return await explain(path, { ...looking, of: '', depth: 0 });
}

interface Level extends Looking {
  /** In front of a clause about an interpreter: which one. */
  readonly of: string;
  readonly depth: number;
}

async function explain(path: string, level: Level): Promise<Unfit | undefined> {
  const head = await level.look({ path, offset: 0 });
  if (typeof head === 'string') return undefined;
  const format = readFormat(head);
  switch (format.kind) {
    case 'empty':
      return { errno: 'ENOEXEC', why: `${level.of}it is empty` };
    case 'other':
      return { errno: 'ENOEXEC', why: `${level.of}it is no program of Linux, and has no "#!" line` };
    case 'script':
      return await explainScript(format.interpreter, level);
    case 'elf':
      return await explainElf(path, format, level);
  }
}

async function explainScript(interpreter: string, level: Level): Promise<Unfit | undefined> {
  if (interpreter === '') return { errno: 'ENOEXEC', why: `${level.of}its "#!" line names no interpreter` };
  const name = `the interpreter of its "#!" line, ${JSON.stringify(interpreter)},`;
  const windows = interpreter.endsWith('\r') ? ': its lines end as those of Windows, which is a part of that name' : '';
  return (await explainMissing(interpreter, level, { name, more: windows })) ?? (await explainNext(interpreter, level));
}

async function explainNext(interpreter: string, level: Level): Promise<Unfit | undefined> {
  if (level.depth >= DEPTH_MAX) return undefined;
  const of = `its interpreter ${JSON.stringify(interpreter)}: `;
  return await explain(interpreter, { ...level, of, depth: level.depth + 1 });
}

async function explainElf(path: string, format: ElfFormat, level: Level): Promise<Unfit | undefined> {
  const { arch, of } = level;
  const { machine } = format;
  if (machine !== MACHINES[arch] && machine !== COMPATIBLE[arch])
    return {
      errno: 'ENOEXEC',
      why: `${of}it is a program for ${machineName(machine)}, and this machine is ${arch}`,
      isForeign: true,
    };
  const loader = await lookForLoader(path, format, level);
  if (loader === undefined) return undefined;
  return await explainMissing(loader, level, { name: `its dynamic loader, ${JSON.stringify(loader)},` });
}

async function lookForLoader(path: string, format: ElfFormat, { look }: Level): Promise<string | undefined> {
  const { offset, size, count } = format.headers;
  const headers = await look({ path, offset });
  const place = typeof headers === 'string' ? undefined : findLoader(headers.subarray(0, size * count), format);
  if (place === undefined || !Number.isSafeInteger(place.offset)) return undefined;
  const text = await look({ path, offset: place.offset });
  return typeof text === 'string' ? undefined : readLoader(text, place);
}

async function explainMissing(
  path: string,
  { look, of }: Level,
  { name, more = '' }: { readonly name: string; readonly more?: string },
): Promise<Unfit | undefined> {
  // A path that is no UTF-8 cannot be looked at by its text.
  const found = path.includes('\ufffd') ? undefined : await look({ path, offset: 0 });
  if (found === 'ENOENT') return { errno: 'ENOENT', why: `${of}${name} is not in the rootfs${more}`, missing: path };
  if (found === 'ENOTDIR') return { errno: 'ENOTDIR', why: `${of}${name} leads through a file${more}`, missing: path };
  return undefined;
}
