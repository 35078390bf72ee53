import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** An entry of an archive that a test writes, with whatever lies it wants. */
export interface WrittenEntry {
  readonly name: string;
  /** Letter of the type. Default: `5` for a name with a slash at its end, `2` with a link, `0` otherwise. */
  readonly type?: string;
  readonly link?: string;
  readonly data?: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
  /** What the header says in place of the true size. */
  readonly size?: number;
  /** Records of a PAX header before it. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** Changes the header after its checksum was made. */
  readonly damage?: (header: Buffer) => void;
}

/** One entry with its headers, filled up to whole blocks. */
export function tarEntry(entry: WrittenEntry): Buffer {
  const { name, link = '', data = '', pax, mode, uid = 0, gid = 0, mtime = 1_700_000_000 } = entry;
  const bytes = Buffer.from(data);
  const type = entry.type ?? (name.endsWith('/') ? '5' : link === '' ? '0' : '2');
  const header = Buffer.alloc(512);
  header.write(name, 0, 100, 'latin1');
  for (const [value, at, length] of [
    [mode ?? (type === '5' ? 0o755 : 0o644), 100, 8],
    [uid, 108, 8],
    [gid, 116, 8],
    [entry.size ?? bytes.length, 124, 12],
    [mtime, 136, 12],
    [entry.device?.[0] ?? 0, 329, 8],
    [entry.device?.[1] ?? 0, 337, 8],
  ] as const)
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  header.write(type, 156, 'latin1');
  header.write(link, 157, 100, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  entry.damage?.(header);
  return Buffer.concat([...(pax === undefined ? [] : [paxHeader(pax)]), header, padded(bytes)]);
}

function paxHeader(pax: Readonly<Record<string, string | Buffer>>): Buffer {
  const records = Object.entries(pax).map(([key, value]) => paxRecord(key, Buffer.from(value)));
  return tarEntry({ name: 'pax', type: 'x', data: Buffer.concat(records) });
}

/** `LENGTH KEY=VALUE`, where the length counts itself. */
export function paxRecord(key: string, value: Buffer): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A whole archive. */
export function tar(entries: readonly WrittenEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A layer of an image: the archive, and where it is not the usual one what is stored of it. */
export interface WrittenLayer {
  readonly archive: Buffer;
  readonly stored?: Buffer;
  readonly mediaType?: string;
  readonly diffId?: string;
}

interface WrittenDescriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** The documents of an image, for tests to put lies into. */
export interface Documents {
  readonly config: { rootfs: { type: string; diff_ids: string[] }; [key: string]: unknown };
  readonly manifest: { config: WrittenDescriptor; layers: WrittenDescriptor[]; [key: string]: unknown };
  readonly index: { manifests: (WrittenDescriptor & Record<string, unknown>)[]; [key: string]: unknown };
}

/** Writes a layout with one image. `change` sees each document before it is written, with what it has become so far. */
export function writeLayout(
  directory: string,
  layers: readonly WrittenLayer[],
  options: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly change?: (documents: Partial<Documents>, store: (bytes: Buffer) => string) => void;
  } = {},
): string {
  mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true });
  const store = (bytes: Buffer): string => {
    const digest = digestOf(bytes);
    writeFileSync(path.join(directory, 'blobs', digest.replace(':', '/')), bytes);
    return digest;
  };
  const describe = (mediaType: string, bytes: Buffer): WrittenDescriptor => ({
    mediaType,
    digest: store(bytes),
    size: bytes.length,
  });
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ archive, diffId }) => diffId ?? digestOf(archive)) },
  };
  options.change?.({ config }, store);
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: describe('application/vnd.oci.image.config.v1+json', json(config)),
    layers: layers.map(({ archive, stored, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip' }) =>
      describe(mediaType, stored ?? gzipSync(archive)),
    ),
  };
  options.change?.({ manifest }, store);
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...describe('application/vnd.oci.image.manifest.v1+json', json(manifest)),
        annotations: { 'org.opencontainers.image.ref.name': 'latest' },
      },
    ],
  };
  options.change?.({ index }, store);
  writeFileSync(path.join(directory, 'index.json'), json(index));
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return directory;
}
