import { textOfUtf8 } from '../../util/utf8.ts';

/** What the first bytes of an executable file say, as execve(2) reads them. Source: fs/binfmt_script.c, fs/binfmt_elf.c, man 5 elf. */
export type ExecutableFormat =
  | { readonly kind: 'empty' }
  /** A `#!` line; what it names, as the kernel takes it, and empty where it names nothing. */
  | { readonly kind: 'script'; readonly interpreter: string }
  | ElfFormat
  /** A file of text without a `#!` line, or anything else. */
  | { readonly kind: 'other' };

/** An ELF file: its machine, and where the table of its program headers lies. */
export interface ElfFormat {
  readonly kind: 'elf';
  /** Bytes of an address. */
  readonly addressBytes: 4 | 8;
  readonly isLittleEndian: boolean;
  /** e_machine. */
  readonly machine: number;
  readonly headers: { readonly offset: number; readonly size: number; readonly count: number };
}

/** BINPRM_BUF_SIZE of include/uapi/linux/binfmts.h: a longer first line is cut. */
const LINE_MAX = 256;
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];
/** Whoever has more of them is no usual program. */
const HEADERS_MAX = 256;

/** Judges the first bytes of a file; there may be fewer of them than of the file. */
export function readFormat(head: Uint8Array): ExecutableFormat {
  if (head.length === 0) return { kind: 'empty' };
  if (head[0] === 0x23 && head[1] === 0x21) return { kind: 'script', interpreter: readInterpreter(head) };
  return ELF_MAGIC.every((byte, index) => head[index] === byte)
    ? (readElf(head) ?? { kind: 'other' })
    : { kind: 'other' };
}

function readInterpreter(head: Uint8Array): string {
  const line = textOf(head.subarray(2, LINE_MAX), '\n');
  return /^[ \t]*([^ \t\0]*)/.exec(line)?.[1] ?? '';
}

/** The bytes up to an end, as text; control characters stay. */
function textOf(bytes: Uint8Array, end: '\n' | '\0'): string {
  const at = bytes.indexOf(end.charCodeAt(0));
  return textOfUtf8(at < 0 ? bytes : bytes.subarray(0, at));
}

function readElf(head: Uint8Array): ElfFormat | undefined {
  const addressBytes = head[4] === 1 ? 4 : 8;
  if (head.length < (addressBytes === 8 ? 64 : 52)) return undefined;
  const isLittleEndian = head[5] !== 2;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const half = (at: number): number => view.getUint16(at, isLittleEndian);
  const [offsetAt, sizeAt] = addressBytes === 8 ? [32, 54] : [28, 42];
  const offset = addressAt(view, offsetAt, { addressBytes, isLittleEndian });
  const headers = { offset, size: half(sizeAt), count: Math.min(half(sizeAt + 2), HEADERS_MAX) };
  return { kind: 'elf', addressBytes, isLittleEndian, machine: half(18), headers };
}

function addressAt(
  view: DataView,
  at: number,
  { addressBytes, isLittleEndian }: Pick<ElfFormat, 'addressBytes' | 'isLittleEndian'>,
): number {
  return addressBytes === 4 ? view.getUint32(at, isLittleEndian) : Number(view.getBigUint64(at, isLittleEndian));
}

const PT_INTERP = 3;

/** Where a file has the path of its dynamic loader. */
export interface LoaderPlace {
  readonly offset: number;
  readonly size: number;
}

/** The place of the loader among program headers; undefined where they name none. The bytes start at a header. */
export function findLoader(bytes: Uint8Array, format: ElfFormat): LoaderPlace | undefined {
  const { size } = format.headers;
  const least = format.addressBytes === 8 ? 56 : 32;
  if (size < least) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [offsetAt, sizeAt] = format.addressBytes === 8 ? [8, 32] : [4, 16];
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (view.getUint32(at, format.isLittleEndian) !== PT_INTERP) continue;
    return { offset: addressAt(view, at + offsetAt, format), size: addressAt(view, at + sizeAt, format) };
  }
  return undefined;
}

/** The path at the start of the bytes that `LoaderPlace` leads to. */
export function readLoader(bytes: Uint8Array, { size }: LoaderPlace): string {
  return textOf(bytes.subarray(0, size), '\0');
}

/** e_machine -> what people call it. Source: include/uapi/linux/elf-em.h. */
const MACHINES: Readonly<Record<number, string>> = {
  ...{
    2: 'sparc',
    3: '32-bit x86 (i386)',
    8: 'mips',
    20: 'powerpc',
    21: 'ppc64',
    22: 's390x',
    40: '32-bit arm',
    43: 'sparc64',
  },
  ...{ 50: 'ia64', 62: 'x86-64', 183: 'arm64 (aarch64)', 243: 'riscv', 258: 'loongarch' },
};

/** The name of a machine of ELF. */
export function machineName(machine: number): string {
  return MACHINES[machine] ?? `machine ${machine} of ELF`;
}
