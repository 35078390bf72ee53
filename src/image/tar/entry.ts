import type { RawHeader } from './header.ts';
import { refuse } from '../refuse.ts';
import { parseDecimal, parseTime } from './pax.ts';

/** What an entry makes. */
export type TarType = 'file' | 'hard-link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** An entry of an archive. Names, and names and values of attributes, have one byte a character (latin1). */
export interface TarEntry {
  readonly type: TarType;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that the archive has of it. */
  readonly dataSize: number;
  /** How long the file is, holes and all. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint;
  readonly major: number;
  readonly minor: number;
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

/** Letter of the header -> type. Source: POSIX pax, "ustar Interchange Format". */
const TYPES: ReadonlyMap<string, TarType> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hard-link'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

const ATTRIBUTE = 'SCHILY.xattr.';

/** What the headers before an entry's own say of it. */
export interface Extension {
  /** Records of a PAX header: key -> value. */
  readonly records: ReadonlyMap<string, string>;
  readonly longName?: string | undefined;
  readonly longLinkName?: string | undefined;
}

/** The size of the data that follows a header, whose own field has no room for large ones. Errors: `bundle`. */
export function dataSizeOf(header: RawHeader, { records }: Extension): number {
  const text = records.get('size');
  const size = text === undefined ? header.size : parseDecimal(text);
  if (size < 0) throw refuse(`an archive has an entry of ${size} bytes`);
  return size;
}

/** Puts an entry together. Errors: `bundle`. */
export function makeEntry(
  header: RawHeader,
  extension: Extension,
  sizes: { readonly dataSize: number; readonly size: number },
): TarEntry {
  const { records, longName, longLinkName } = extension;
  const name = records.get('GNU.sparse.name') ?? records.get('path') ?? longName ?? header.name;
  const type = TYPES.get(header.type);
  if (type === undefined) throw refuse(`an archive has an entry of the unknown type ${JSON.stringify(header.type)}`);
  const mtime = records.get('mtime');
  const mtimeNs = mtime === undefined ? BigInt(header.mtime) * 1_000_000_000n : parseTime(mtime);
  const atime = records.get('atime');
  return {
    // Archives from before there was a letter for directories.
    type: header.type === '\0' && name.endsWith('/') ? 'directory' : type,
    name: requireText(name),
    linkName: requireText(records.get('linkpath') ?? longLinkName ?? header.linkName),
    mode: header.mode & 0o7777,
    uid: numberOf(records, 'uid') ?? header.uid,
    gid: numberOf(records, 'gid') ?? header.gid,
    ...sizes,
    mtimeNs,
    atimeNs: atime === undefined ? mtimeNs : parseTime(atime),
    major: header.major,
    minor: header.minor,
    attributes: [...records]
      .filter(([key]) => key.startsWith(ATTRIBUTE))
      .map(([key, value]) => [requireText(key.slice(ATTRIBUTE.length)), value]),
  };
}

/** Types that have no data, whatever their size says (as GNU tar and Go read them). */
export function hasData({ type }: RawHeader): boolean {
  return !['1', '2', '3', '4', '5', '6'].includes(type);
}

/** Length of a sparse file, and its pieces where the records have them themselves. */
export interface SparseRecords {
  readonly size: number;
  readonly numbers: readonly string[] | 'in the data';
}

/** What PAX records say of a sparse file: formats 0.0, 0.1 and 1.0 of GNU tar. `listed` are the repeated ones of 0.0. */
export function sparseRecords(
  records: ReadonlyMap<string, string>,
  listed: readonly string[],
): SparseRecords | undefined {
  const size = records.get('GNU.sparse.realsize') ?? records.get('GNU.sparse.size');
  if (size === undefined) return undefined;
  if (records.get('GNU.sparse.major') === '1') return { size: parseDecimal(size), numbers: 'in the data' };
  const map = records.get('GNU.sparse.map');
  return { size: parseDecimal(size), numbers: map === undefined ? listed : map.split(',').filter(Boolean) };
}

function numberOf(records: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = records.get(key);
  return text === undefined ? undefined : parseDecimal(text);
}

function requireText(name: string): string {
  if (name.includes('\0')) throw refuse('an archive has a name with a NUL in it');
  return name;
}
