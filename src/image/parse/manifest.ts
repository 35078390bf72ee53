import { refuse } from '../refuse.ts';
import { showPlatform, type Platform } from './reference.ts';

/** What an index or a manifest refers to. Source: image-spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` or `sha512:` and lower-case hexadecimal digits: safe as a part of a path. */
  readonly digest: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

/** An image of an archive of docker's. */
export interface SavedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+(gzip|zstd))?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.(gzip|zstd))?)$/;
const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd's and docker's archives have the whole name there. */
const FULL_NAME = 'io.containerd.image.name';
/** Most images have less than a hundred; docker stops at 127. */
const MAX_LAYERS = 1000;

type Json = Readonly<Record<string, unknown>>;

/** Parses JSON that has to be an object. Errors: `bundle`. */
export function parseObject(bytes: Buffer, what: string): Json {
  return asObject(parseJson(bytes, what), what);
}

/** The manifests of an index. Errors: `bundle`. */
export function parseIndex(bytes: Buffer, what: string): Descriptor[] {
  return asList(parseObject(bytes, what)['manifests'], `the manifests of ${what}`).map((one) =>
    parseDescriptor(one, what),
  );
}

/** Configuration and layers of a manifest. Errors: `bundle`. */
export function parseManifest(bytes: Buffer, what: string): { config: Descriptor; layers: Descriptor[] } {
  const manifest = parseObject(bytes, what);
  const layers = asList(manifest['layers'], `the layers of ${what}`);
  if (layers.length > MAX_LAYERS) throw refuse(`${what} has ${layers.length} layers, more than ${MAX_LAYERS}`);
  const parsed = layers.map((one) => parseDescriptor(one, what));
  const strange = parsed.find(({ mediaType }) => !LAYER_TYPE.test(mediaType));
  if (strange !== undefined)
    throw refuse(
      `a layer has the media type ${JSON.stringify(strange.mediaType)}, wanted a tar, plain or with gzip or zstd`,
    );
  return { config: parseDescriptor(manifest['config'], what), layers: parsed };
}

/** The images of docker's manifest.json. Errors: `bundle`. */
export function parseSaved(bytes: Buffer): SavedImage[] {
  const what = 'manifest.json';
  return asList(parseJson(bytes, what), what).map((one) => {
    const image = asObject(one, what);
    const { Config: config, RepoTags: tags, Layers: layers } = image;
    if (typeof config !== 'string') throw refuse(`${what} names no configuration`);
    const names = asStrings(layers, `the layers of ${what}`);
    if (names.length > MAX_LAYERS) throw refuse(`${what} has ${names.length} layers, more than ${MAX_LAYERS}`);
    return {
      config,
      tags: tags === undefined || tags === null ? [] : asStrings(tags, `the tags of ${what}`),
      layers: names,
    };
  });
}

/** Whether a descriptor is of an index, and no manifest. Errors: `bundle` where it is neither. */
export function isIndex({ mediaType }: Descriptor): boolean {
  if (INDEX_TYPES.includes(mediaType)) return true;
  if (MANIFEST_TYPES.includes(mediaType)) return false;
  throw refuse(`a manifest has the media type ${JSON.stringify(mediaType)}, wanted an image's`);
}

/** The one image that a tag names, or the only one there is. Errors: `bundle`, with the tags that there are. */
export function chooseTag(manifests: readonly Descriptor[], tag: string | undefined): Descriptor[] {
  const images = manifests.filter(({ mediaType }) => [...INDEX_TYPES, ...MANIFEST_TYPES].includes(mediaType));
  const names = images.map(({ annotations }) =>
    [annotations[REF_NAME], annotations[FULL_NAME]].filter((name) => name !== undefined),
  );
  if (tag === undefined) {
    if (new Set(names.map((one) => one[0] ?? '')).size <= 1) return images;
    throw refuse(`the layout has several images, wanted LAYOUT:TAG with one of ${listNames(names.flat())}`);
  }
  const chosen = images.filter((_, index) => names[index]?.some((name) => isShortOf(tag, name)) === true);
  if (chosen.length === 0)
    throw refuse(`the layout has no tag ${JSON.stringify(tag)}, it has ${listNames(names.flat())}`);
  return chosen;
}

/** The same in an archive of docker's, where a tag alone names an image too. Errors: `bundle`. */
export function chooseSaved(images: readonly SavedImage[], tag: string | undefined): SavedImage {
  const isNamed = ({ tags }: SavedImage): boolean => tag === undefined || tags.some((name) => isShortOf(tag, name));
  const [chosen, ...more] = images.filter(isNamed);
  const names = listNames(images.flatMap(({ tags }) => tags));
  if (chosen === undefined) throw refuse(`the archive has no tag ${JSON.stringify(tag ?? '')}, it has ${names}`);
  if (more.length > 0) throw refuse(`the archive has several images, wanted ARCHIVE:TAG with one of ${names}`);
  return chosen;
}

/** Of manifests for several platforms the one that fits. Errors: `bundle`, with the platforms that there are. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor {
  const fitting = manifests.filter(({ platform }) => {
    if (platform === undefined) return true;
    if (platform.os !== wanted.os || platform.architecture !== wanted.architecture) return false;
    return wanted.variant === undefined || platform.variant === wanted.variant;
  });
  // What names its platform comes before what says nothing.
  const chosen = fitting.find(({ platform }) => platform !== undefined) ?? fitting[0];
  if (chosen !== undefined) return chosen;
  const known = manifests.flatMap(({ platform }) => (platform === undefined ? [] : [showPlatform(platform)]));
  throw refuse(`there is no image for ${showPlatform(wanted)}, only for ${listNames(known)}`);
}

/** Tools write whole names, and people the end of them. */
function isShortOf(tag: string, name: string): boolean {
  return [name, name.replace(/:latest$/, '')].some(
    (one) => one === tag || one.endsWith(`:${tag}`) || one.endsWith(`/${tag}`),
  );
}

function listNames(names: readonly string[]): string {
  const MOST = 20;
  const shown = [...new Set(names)].slice(0, MOST).map((name) => JSON.stringify(name));
  return shown.length === 0 ? 'none' : `${shown.join(', ')}${names.length > MOST ? ' and more' : ''}`;
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size, annotations, platform } = asObject(value, `a descriptor of ${what}`);
  if (typeof digest !== 'string' || !DIGEST.test(digest))
    throw refuse(`${what} has the digest ${JSON.stringify(digest)}, wanted sha256 or sha512`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw refuse(`${what} has the size ${JSON.stringify(size)}, wanted bytes`);
  const texts = Object.entries(annotations === undefined ? {} : asObject(annotations, what));
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    annotations: Object.fromEntries(texts.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    ...(platform !== undefined && { platform: parsePlatform(platform, what) }),
  };
}

function parsePlatform(value: unknown, what: string): Platform {
  const { os, architecture, variant } = asObject(value, `a platform of ${what}`);
  if (typeof os !== 'string' || typeof architecture !== 'string') throw refuse(`${what} has a platform without a name`);
  return { os, architecture, ...(typeof variant === 'string' && { variant }) };
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw refuse(`${what} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function asObject(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(`${what} is no object`);
  return value as Json;
}

function asList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw refuse(`${what}: wanted a list`);
  return value;
}

function asStrings(value: unknown, what: string): string[] {
  return asList(value, what).map((one) => {
    if (typeof one !== 'string') throw refuse(`${what}: wanted texts`);
    return one;
  });
}
