import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { TsrunError } from '../errors.ts';
import { Stretch } from '../sys/events/stretch.ts';
import { ZstdDecompressor } from '../sys/archive/zstd.ts';
import type { ImageFile } from './files.ts';
import { refuse } from './refuse.ts';

/** A layer as it is stored, and what it has to be. */
export interface StoredLayer {
  readonly file: ImageFile;
  /** Of the bytes as they are stored; undefined where nothing says it. */
  readonly digest?: string | undefined;
  /** Of the archive that they are of. */
  readonly diffId: string;
}

/** Who watches a layer go by. Each may throw, to end it. */
export interface LayerWatch {
  /** Bytes as they are stored. */
  readonly onStored: (count: number) => void;
  /** Bytes of the archive. */
  readonly onUnpacked: (count: number) => void;
}

const CHUNK_BYTES = 256 * 1024;
const GZIP = Buffer.of(0x1f, 0x8b);
const ZSTD = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
/** A frame that decompressors pass over, which some tools begin with: its first byte is any of 16. */
const ZSTD_SKIPPABLE = Buffer.of(0x2a, 0x4d, 0x18);

/**
 * The archive of a layer, whatever it is compressed with, in pieces. The last is followed by the digests: an error there means that
 * what came before is not what was announced. Errors: `bundle`, `unsupported` without libzstd.
 */
export async function* readLayer(layer: StoredLayer, watch: LayerWatch): AsyncGenerator<Buffer> {
  const stored = layer.digest === undefined ? undefined : createHash(algorithmOf(layer.digest));
  const unpacked = createHash(algorithmOf(layer.diffId));
  const chunks = readStored(layer.file, { hash: stored, onStored: watch.onStored });
  for await (const chunk of decompress(chunks, readStart(layer.file))) {
    watch.onUnpacked(chunk.length);
    unpacked.update(chunk);
    yield chunk;
  }
  requireDigest(stored, layer.digest, 'a layer');
  requireDigest(unpacked, layer.diffId, 'the archive of a layer');
}

/** Holds bytes that are at hand to a digest. Errors: `bundle`. */
export function verifyDigest(bytes: Buffer, digest: string, what: string): void {
  requireDigest(createHash(algorithmOf(digest)).update(bytes), digest, what);
}

function requireDigest(hash: Hash | undefined, wanted: string | undefined, what: string): void {
  if (hash === undefined || wanted === undefined) return;
  const found = `${algorithmOf(wanted)}:${hash.digest('hex')}`;
  if (found !== wanted) throw refuse(`${what} has the digest ${found}, wanted ${wanted}`);
}

function algorithmOf(digest: string): string {
  const algorithm = digest.slice(0, digest.indexOf(':'));
  if (algorithm !== 'sha256' && algorithm !== 'sha512')
    throw refuse(`a layer has the digest ${JSON.stringify(digest.slice(0, 100))}, wanted sha256 or sha512`);
  return algorithm;
}

async function* readStored(
  { fd, offset, size }: ImageFile,
  { hash, onStored }: { readonly hash: Hash | undefined; readonly onStored: (count: number) => void },
): AsyncGenerator<Buffer> {
  const stretch = new Stretch();
  for (let done = 0; done < size;) {
    await stretch.rest();
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - done));
    const length = readSync(fd, chunk, 0, chunk.length, offset + done);
    if (length === 0) throw refuse('a layer became shorter');
    done += length;
    const bytes = chunk.subarray(0, length);
    hash?.update(bytes);
    onStored(length);
    yield bytes;
  }
}

function readStart({ fd, offset, size }: ImageFile): Buffer {
  const start = Buffer.alloc(Math.min(ZSTD.length, size));
  return start.subarray(0, readSync(fd, start, 0, start.length, offset));
}

/** By what the bytes are: descriptors of older tools say of zstd that it is gzip. */
function decompress(chunks: AsyncGenerator<Buffer>, start: Buffer): AsyncIterable<Buffer> {
  if (start.subarray(0, GZIP.length).equals(GZIP)) return gunzip(chunks);
  if (start.equals(ZSTD)) return unzstd(chunks);
  if (start.length === ZSTD.length && ((start[0] ?? 0) & 0xf0) === 0x50 && start.subarray(1).equals(ZSTD_SKIPPABLE))
    return unzstd(chunks);
  return chunks;
}

async function* gunzip(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: CHUNK_BYTES });
  pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 4 }), stream, () => {
    // Whoever reads the stream gets the error.
  });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    if (error instanceof TsrunError || typeof code !== 'string' || !code.startsWith('Z_')) throw error;
    throw refuse(`a layer is damaged: ${error instanceof Error ? error.message : code}`);
  }
}

async function* unzstd(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  using decompressor = new ZstdDecompressor();
  for await (const chunk of chunks) yield* decompressor.push(chunk);
  if (!decompressor.isComplete) throw refuse('a layer ends in the middle of a frame of zstd');
}
