import { existsSync, statfsSync, writeSync } from 'node:fs';
import { openAt } from '../sys/archive/at.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { O_CREAT, O_EXCL, O_WRONLY } from '../util/constants.ts';
import { Bounds } from './bounds.ts';
import { openImageFiles, type ImageFiles } from './files.ts';
import { readUserFiles } from './image-users.ts';
import { readLayer } from './layer-stream.ts';
import { chooseImage, openLayer, type LayerFile } from './layers.ts';
import { convertConfig, type ImageConfig, type Rootless } from './parse/config.ts';
import { hostPlatform, readPlatform, splitReference } from './parse/reference.ts';
import { refuse } from './refuse.ts';
import { Staging } from './staging.ts';
import { StreamBytes } from './tar/bytes.ts';
import { TarReader } from './tar/reader.ts';
import { applyLayer, type LayerOptions } from './target/apply-layer.ts';
import { Metadata } from './target/metadata.ts';
import { Tree } from './target/tree.ts';

/** What is unpacked, and how. */
export interface UnpackOptions {
  /** Path on the host of a layout or an archive, with `:TAG` behind it where that says which image. */
  readonly reference: string;
  /** Absolute path on the host of the bundle, which is not there or empty. */
  readonly directory: string;
  /** One directory, the bundle's rootfs; otherwise one for each layer, for overlayfs. */
  readonly isFlat: boolean;
  /** `OS/ARCH` or `OS/ARCH/VARIANT`. Default: this machine's. */
  readonly platform?: string | undefined;
  /** Bytes of all layers, unpacked. Default: ten times what they are stored as, and 1 GiB. */
  readonly maxSize?: number | undefined;
  /** Default: 2 million. */
  readonly maxEntries?: number | undefined;
  /** The user on the host whose all files are; undefined for root, who gives them the owners that they have in the image. */
  readonly rootless?: Rootless | undefined;
  readonly onProgress?: ((progress: UnpackProgress) => void) | undefined;
  /** Ends it: nothing stays. */
  readonly signal?: AbortSignal | undefined;
}

/** How far it is. */
export interface UnpackProgress {
  /** From 1. */
  readonly layer: number;
  readonly layers: number;
  /** Of all layers, as they are stored. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What was made. */
export interface Unpacked {
  /** Absolute paths on the host, the uppermost first, as overlayfs and `--lower` have them; empty where it is flat. */
  readonly lowers: readonly string[];
  /** The user that the image asks for, where an ordinary user's container has root in its place. */
  readonly replacedUser?: string;
}

/**
 * Makes a bundle of an image. Errors: `bundle` for what is wrong with the image, or stands where the bundle is to be; `host`;
 * the signal's reason. Effects: the directory, or nothing.
 */
export async function unpackImage(options: UnpackOptions): Promise<Unpacked> {
  const { path, tag } = splitReference(options.reference, existsSync);
  using files = await openImageFiles(path);
  const platform = options.platform === undefined ? hostPlatform(process.arch) : readPlatform(options.platform);
  const image = chooseImage(files, { tag, platform, isPlatformAsked: options.platform !== undefined });
  using staging = new Staging(options.directory);
  const trees = await unpackLayers(files, image.layers, { staging, options });
  const count = options.isFlat ? 0 : trees.length;
  const lowers = Array.from({ length: count }, (_, index) => `${options.directory}/layers/${count - 1 - index}`);
  try {
    writeConfig(staging.directory, { image: image.config, trees, lowers, options });
  } finally {
    for (const tree of trees) tree.close();
  }
  options.signal?.throwIfAborted();
  staging.finish();
  return {
    lowers,
    ...(options.rootless !== undefined && isOtherThanRoot(image.config.user) && { replacedUser: image.config.user }),
  };
}

interface Work {
  readonly staging: Staging;
  readonly options: UnpackOptions;
}

/** The directories that were filled, the lowest first; they are the caller's. */
async function unpackLayers(files: ImageFiles, layers: readonly LayerFile[], work: Work): Promise<OwnedFd[]> {
  const { staging, options } = work;
  const totalBytes = layers.reduce((sum, { size }) => sum + size, 0);
  const bounds = new Bounds({
    maxSize: options.maxSize,
    maxEntries: options.maxEntries,
    freeBytes: freeBytesOf(staging.directory),
    storedBytes: totalBytes,
  });
  const rootfs = staging.makeDirectory(staging.directory, 'rootfs', 0o755);
  const directories = [rootfs];
  const metadata = new Metadata({ isRootless: options.rootless !== undefined });
  let bytes = 0;
  const one = async (index: number, tree: Tree, way: LayerOptions['way']): Promise<void> => {
    const layer = layers[index];
    if (layer === undefined) return;
    const onStored = (count: number): void => {
      options.signal?.throwIfAborted();
      bytes += count;
      options.onProgress?.({ layer: index + 1, layers: layers.length, bytes, totalBytes });
    };
    await unpackLayer(files, layer, { tree, bounds, way, onStored });
  };
  try {
    if (options.isFlat) {
      using tree = new Tree(rootfs, { trash: staging.trash, metadata });
      for (const index of layers.keys()) await one(index, tree, index === 0 ? 'bottom' : 'onto');
      tree.close();
      return directories;
    }
    rootfs.close();
    directories.length = 0;
    using all = staging.makeDirectory(staging.directory, 'layers', 0o755);
    for (const index of layers.keys()) {
      const directory = staging.makeDirectory(all, `${index}`, 0o755);
      directories.push(directory);
      using tree = new Tree(directory, { trash: staging.trash, metadata });
      await one(index, tree, 'beside');
      tree.close();
    }
    return directories;
  } catch (error) {
    for (const directory of directories) directory.close();
    throw error;
  }
}

interface LayerWork {
  readonly tree: Tree;
  readonly bounds: Bounds;
  readonly way: LayerOptions['way'];
  readonly onStored: (count: number) => void;
}

async function unpackLayer(
  files: ImageFiles,
  layer: LayerFile,
  { tree, bounds, way, onStored }: LayerWork,
): Promise<void> {
  const file = openLayer(files, layer.name);
  if (file.size !== layer.size) throw refuse(`the layer ${layer.name} has ${file.size} bytes, wanted ${layer.size}`);
  const chunks = readLayer(
    { file, digest: layer.digest, diffId: layer.diffId },
    {
      onStored,
      onUnpacked: (count) => {
        bounds.addBytes(count);
      },
    },
  );
  const source = new StreamBytes(chunks);
  try {
    await applyLayer(new TarReader(source), tree, { bounds, way });
    // What stands behind the end of the archive counts for its digests, and for nothing else.
    while (!(await source.isAtEnd())) await source.some(Number.MAX_SAFE_INTEGER);
  } finally {
    await chunks.return(undefined);
  }
}

interface WrittenConfig {
  readonly image: ImageConfig;
  readonly trees: readonly OwnedFd[];
  readonly lowers: readonly string[];
  readonly options: UnpackOptions;
}

function writeConfig(directory: OwnedFd, { image, trees, lowers, options }: WrittenConfig): void {
  const config = convertConfig(image, { users: readUserFiles(trees), rootless: options.rootless, lowers });
  using file = openAt(directory.number, 'config.json', O_WRONLY | O_CREAT | O_EXCL, 0o644);
  const bytes = Buffer.from(`${JSON.stringify(config, undefined, '\t')}\n`);
  for (let done = 0; done < bytes.length;) done += writeSync(file.number, bytes, done);
}

function freeBytesOf(directory: OwnedFd): number {
  const { bavail, bsize } = statfsSync(descriptorPath(directory.number));
  return bavail * bsize;
}

function isOtherThanRoot(user: string): boolean {
  return !/^(|0|root)(:(0|root))?$/.test(user);
}
