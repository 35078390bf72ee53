import { refuse } from '../refuse.ts';
import type { ByteSource } from './bytes.ts';
import { dataSizeOf, hasData, makeEntry, sparseRecords, type Extension, type TarEntry } from './entry.ts';
import { BLOCK_BYTES, parseHeader, readNumber, type RawHeader } from './header.ts';
import { parsePax } from './pax.ts';
import { MAX_PIECES, pairUp, readOldPieces, requireMap, type Piece } from './sparse.ts';

/** Long names and extended headers are held in memory: as much as Go's reader takes. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
/** No entry has more headers before its own. */
const MAX_EXTENSIONS = 8;

/** Where the old sparse header has its pieces, whether more follow, and the length of the file. Source: GNU tar, "Old GNU Format". */
const OLD_SPARSE = { pieces: 386, count: 4, isExtended: 482, realSize: 483, realSizeBytes: 12 } as const;
const OLD_SPARSE_MORE = { count: 21, isExtended: 504 } as const;

interface Gathered {
  readonly records: Map<string, string>;
  readonly listed: string[];
  longName?: string;
  longLinkName?: string;
}

/** Reads an archive entry by entry: v7, ustar, PAX and GNU, sparse files of all formats. Errors of its methods: `bundle`. */
export class TarReader {
  readonly #source: ByteSource;
  readonly #global = new Map<string, string>();
  #rest = 0;
  #padding = 0;
  #pieces: readonly Piece[] = [];

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** The next entry; undefined at the end. Data of the one before that nobody has read is passed over. */
  async next(): Promise<TarEntry | undefined> {
    await this.#skipRest();
    const gathered: Gathered = { records: new Map(this.#global), listed: [] };
    for (let count = 0; ; count += 1) {
      if (count > MAX_EXTENSIONS) throw refuse('an archive has too many headers before one entry');
      if (await this.#source.isAtEnd()) return undefined;
      const block = await this.#source.exactly(BLOCK_BYTES);
      const header = parseHeader(block);
      if (header === undefined) return undefined;
      if (!(await this.#gather(header, gathered))) return this.#entry(header, { block, gathered });
    }
  }

  /** Has the data of the entry handed over, each piece with its place in the file. */
  async read(write: (bytes: Buffer, offset: number) => void): Promise<void> {
    for (const [offset, length] of this.#pieces) {
      for (let done = 0; done < length;) {
        const bytes = await this.#source.some(length - done);
        write(bytes, offset + done);
        done += bytes.length;
        this.#rest -= bytes.length;
      }
    }
  }

  async #skipRest(): Promise<void> {
    const rest = this.#rest;
    this.#rest = 0;
    if (rest > 0) await this.#source.skip(rest);
    // Some writers do not fill up the last block (umoci 0.4), and readers do not mind.
    for (; this.#padding > 0 && !(await this.#source.isAtEnd());)
      this.#padding -= (await this.#source.some(this.#padding)).length;
    this.#padding = 0;
  }

  /** False for a header that is an entry's own. */
  async #gather(header: RawHeader, gathered: Gathered): Promise<boolean> {
    if (!['x', 'X', 'g', 'L', 'K'].includes(header.type)) return false;
    if (header.size > MAX_EXTENSION_BYTES)
      throw refuse(`an archive has an extended header of ${header.size} bytes, more than ${MAX_EXTENSION_BYTES}`);
    const bytes = await this.#source.exactly(header.size);
    await this.#source.skip(paddingOf(header.size));
    if (header.type === 'L') gathered.longName = untilNul(bytes);
    else if (header.type === 'K') gathered.longLinkName = untilNul(bytes);
    else {
      for (const [key, value] of parsePax(bytes)) {
        if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') gathered.listed.push(value);
        for (const records of header.type === 'g' ? [this.#global, gathered.records] : [gathered.records]) {
          if (value === '') records.delete(key);
          else records.set(key, value);
        }
        if (this.#global.size > MAX_GLOBAL_RECORDS) throw refuse('an archive has too many global headers');
      }
    }
    return true;
  }

  async #entry(header: RawHeader, { block, gathered }: { block: Buffer; gathered: Gathered }): Promise<TarEntry> {
    const extension: Extension = gathered;
    const stored = hasData(header) ? dataSizeOf(header, extension) : 0;
    this.#rest = stored;
    this.#padding = paddingOf(stored);
    const sparse = header.type === 'S' ? await this.#oldSparse(block) : await this.#paxSparse(gathered);
    const { size, pieces } = sparse ?? { size: stored, pieces: stored === 0 ? [] : [[0, stored] as const] };
    const dataSize = this.#rest;
    requireMap(pieces, { realSize: size, dataSize });
    this.#pieces = pieces;
    return makeEntry(header, extension, { dataSize, size });
  }

  async #oldSparse(block: Buffer): Promise<{ size: number; pieces: Piece[] }> {
    const pieces = readOldPieces(block, OLD_SPARSE.pieces, OLD_SPARSE.count);
    let isExtended = block[OLD_SPARSE.isExtended] !== 0;
    while (isExtended) {
      const more = await this.#source.exactly(BLOCK_BYTES);
      pieces.push(...readOldPieces(more, 0, OLD_SPARSE_MORE.count));
      isExtended = more[OLD_SPARSE_MORE.isExtended] !== 0;
      if (pieces.length > MAX_PIECES) throw refuse('a sparse file has too many pieces');
    }
    return { size: readNumber(block, OLD_SPARSE.realSize, OLD_SPARSE.realSizeBytes), pieces };
  }

  async #paxSparse({ records, listed }: Gathered): Promise<{ size: number; pieces: Piece[] } | undefined> {
    const found = sparseRecords(records, listed);
    if (found === undefined) return undefined;
    if (found.numbers !== 'in the data') return { size: found.size, pieces: pairUp(found.numbers) };
    return { size: found.size, pieces: pairUp(await this.#readMap()) };
  }

  /** A number a line, first how many pairs there are, filled up to a block. */
  async #readMap(): Promise<string[]> {
    const numbers: string[] = [];
    let text = '';
    for (let wanted = 1; numbers.length < wanted;) {
      if (this.#rest < BLOCK_BYTES) throw refuse('a sparse file has a damaged map');
      text += (await this.#source.exactly(BLOCK_BYTES)).toString('latin1');
      this.#rest -= BLOCK_BYTES;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      if (text.length > BLOCK_BYTES) throw refuse('a sparse file has a damaged map');
      for (const line of lines) numbers.push(line);
      const count = Number(numbers[0]);
      if (!(count <= MAX_PIECES)) throw refuse('a sparse file has a damaged map');
      wanted = numbers.length === 0 ? 1 : 1 + 2 * count;
      numbers.length = Math.min(numbers.length, wanted);
    }
    return numbers.slice(1);
  }
}

const MAX_GLOBAL_RECORDS = 1000;

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}
