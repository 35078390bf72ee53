/** An entry of a tar archive. Without a kind it is a regular file. */
export interface TarEntry {
  readonly name: string;
  readonly kind?: 'directory' | 'link';
  readonly content?: Buffer;
  /** Where a link points. */
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

const BLOCK_SIZE = 512;
/** Longest name in a header without a prefix. */
const NAME_LENGTH = 100;

/** Bytes of an archive in the format POSIX calls ustar (`man 5 tar`), every entry with the time 0. */
export function writeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const { content = Buffer.alloc(0) } = entry;
    const padding = (BLOCK_SIZE - (content.length % BLOCK_SIZE)) % BLOCK_SIZE;
    return [makeHeader(entry, content.length), content, Buffer.alloc(padding)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_SIZE)]);
}

function makeHeader(entry: TarEntry, size: number): Buffer {
  const { name, kind, target = '', uid = 0, gid = 0 } = entry;
  const { mode = kind === undefined ? 0o644 : 0o755 } = entry;
  if (name.length > NAME_LENGTH || target.length > NAME_LENGTH) throw new Error(`${name}: too long for a tar header`);
  const header = Buffer.alloc(BLOCK_SIZE);
  const octal = (value: number, offset: number, digits: number): void => {
    header.write(value.toString(8).padStart(digits, '0'), offset);
  };
  header.write(kind === 'directory' ? `${name}/` : name, 0);
  octal(mode, 100, 7);
  octal(uid, 108, 7);
  octal(gid, 116, 7);
  octal(size, 124, 11);
  octal(0, 136, 11);
  header.write({ directory: '5', link: '2', file: '0' }[kind ?? 'file'], 156);
  header.write(target, 157);
  header.write('ustar\0' + '00', 257, 'latin1');
  // The checksum is that of the header with blanks in its place.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  octal(sum, 148, 6);
  header.write('\0 ', 154, 'latin1');
  return header;
}
