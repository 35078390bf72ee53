import { refuse } from './refuse.ts';
import { readDocument, type ImageFiles } from './files.ts';
import { verifyDigest } from './layer-stream.ts';
import { parseImageConfig, type ImageConfig } from './parse/config.ts';
import {
  choosePlatform,
  chooseSaved,
  chooseTag,
  isIndex,
  parseIndex,
  parseManifest,
  parseObject,
  parseSaved,
  type Descriptor,
} from './parse/manifest.ts';
import { showPlatform, type Platform } from './parse/reference.ts';

/** A layer of an image, before it is opened. */
export interface LayerFile {
  readonly name: string;
  readonly size: number;
  readonly digest?: string;
  readonly diffId: string;
}

/** An image of a layout or an archive. */
export interface ChosenImage {
  readonly config: ImageConfig;
  /** The lowest first. */
  readonly layers: readonly LayerFile[];
}

/** Which image is meant. */
export interface ImageChoice {
  readonly tag?: string | undefined;
  readonly platform: Platform;
  /** Whether somebody asked for the platform: what is for another is refused even where there is nothing else. */
  readonly isPlatformAsked: boolean;
}

/** Indexes that lead to indexes: one does in practice. */
const MAX_INDEXES = 4;

/** Finds an image in a layout, an archive of one, or an archive of `docker save`. Errors: `bundle`. */
export function chooseImage(files: ImageFiles, choice: ImageChoice): ChosenImage {
  const image = files.open('oci-layout') === undefined ? chooseInSaved(files, choice) : chooseInLayout(files, choice);
  const { os, architecture, diffIds } = image.config;
  const { platform } = choice;
  if (choice.isPlatformAsked && (os !== platform.os || architecture !== platform.architecture))
    throw refuse(`it is for ${showPlatform({ os, architecture })}, wanted ${showPlatform(platform)}`);
  if (diffIds.length !== image.layers.length)
    throw refuse(`its configuration has digests of ${diffIds.length} layers, it has ${image.layers.length}`);
  return image;
}

/** Source: image-spec, image-layout.md. */
function chooseInLayout(files: ImageFiles, { tag, platform }: ImageChoice): ChosenImage {
  const { imageLayoutVersion } = parseObject(readDocument(files, 'oci-layout'), 'oci-layout');
  if (typeof imageLayoutVersion !== 'string' || !imageLayoutVersion.startsWith('1.'))
    throw refuse(`the layout has the version ${JSON.stringify(imageLayoutVersion)}, wanted "1.0.0"`);
  let chosen = choosePlatform(chooseTag(parseIndex(readDocument(files, 'index.json'), 'index.json'), tag), platform);
  for (let indexes = 0; isIndex(chosen); indexes += 1) {
    if (indexes >= MAX_INDEXES) throw refuse(`it has more than ${MAX_INDEXES} indexes, one behind the other`);
    chosen = choosePlatform(parseIndex(readBlob(files, chosen, 'an index'), 'an index'), platform);
  }
  const { config, layers } = parseManifest(readBlob(files, chosen, 'the manifest'), 'the manifest');
  const parsed = parseImageConfig(readBlob(files, config, 'the configuration'));
  return {
    config: parsed,
    layers: layers.map(({ digest, size }, index) => ({
      name: blobName(digest),
      digest,
      size,
      diffId: parsed.diffIds[index] ?? '',
    })),
  };
}

/** What `docker save` wrote before it wrote layouts, and podman and skopeo write for it. */
function chooseInSaved(files: ImageFiles, { tag }: ImageChoice): ChosenImage {
  if (files.open('manifest.json') === undefined)
    throw refuse(
      'there is no "oci-layout" and no "manifest.json" in it: wanted an image layout or an archive of docker save',
    );
  const image = chooseSaved(parseSaved(readDocument(files, 'manifest.json')), tag);
  const bytes = readDocument(files, image.config);
  // The configuration is named by its digest, of which the names of the layers are sure through it.
  const [, hex] = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(image.config) ?? [];
  if (hex !== undefined) verifyDigest(bytes, `sha256:${hex}`, 'the configuration');
  const config = parseImageConfig(bytes);
  return {
    config,
    layers: image.layers.map((name, index) => ({
      name,
      size: openLayer(files, name).size,
      diffId: config.diffIds[index] ?? '',
    })),
  };
}

/** Opens the file of a layer. Errors: `bundle`. */
export function openLayer(files: ImageFiles, name: string): { fd: number; offset: number; size: number } {
  const file = files.open(name);
  if (file === undefined) throw refuse(`the layer ${JSON.stringify(name)} is missing in it`);
  return file;
}

function readBlob(files: ImageFiles, { digest, size }: Descriptor, what: string): Buffer {
  const bytes = readDocument(files, blobName(digest));
  if (bytes.length !== size) throw refuse(`${what} has ${bytes.length} bytes, wanted ${size}`);
  verifyDigest(bytes, digest, what);
  return bytes;
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
