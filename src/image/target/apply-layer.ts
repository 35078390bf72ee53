import { ftruncateSync, writeSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import type { Bounds } from '../bounds.ts';
import { refuse, showName } from '../refuse.ts';
import type { TarEntry } from '../tar/entry.ts';
import type { TarReader } from '../tar/reader.ts';
import { placeOf, whiteoutOf, type Place } from './name.ts';
import type { Tree } from './tree.ts';

/** How a layer is put on what is below it. */
export interface LayerOptions {
  readonly bounds: Bounds;
  /**
   * - `bottom`: nothing is below, so that nothing is hidden
   * - `onto`: the tree has the lower layers in it, and what is hidden is removed
   * - `beside`: each layer has a tree of its own, of which overlayfs makes one
   */
  readonly way: 'bottom' | 'onto' | 'beside';
}

/** Puts all entries of a layer's archive into a tree. Errors: `bundle`, `host`. Source: image-spec, layer.md. */
export async function applyLayer(reader: TarReader, tree: Tree, { bounds, way }: LayerOptions): Promise<void> {
  /** What this layer has: a whiteout hides what is below it alone, wherever in the archive it stands. */
  const own = way === 'onto' ? new OwnPaths(bounds) : undefined;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    bounds.addEntry();
    const place = placeOf(entry.name);
    try {
      if (hide(tree, place, { way, own })) continue;
      own?.add(place.path);
      await put(reader, tree, { entry, place, bounds });
    } catch (cause) {
      if (cause instanceof TsrunError && cause.code === 'host')
        throw TsrunError.of('host', `unpack ${showName(entry.name)} of the image`, cause);
      throw cause;
    }
  }
}

/** True for an entry that is no more than a whiteout. */
function hide(
  tree: Tree,
  place: Place,
  { way, own }: { readonly way: LayerOptions['way']; readonly own: OwnPaths | undefined },
): boolean {
  const whiteout = whiteoutOf(place);
  if (whiteout === undefined) return false;
  if (whiteout.kind === 'opaque') {
    if (way === 'onto') tree.empty(place.directory, (path) => own?.has(path) === true);
    else if (way === 'beside') tree.makeOpaque(place.directory);
  } else if (whiteout.kind === 'name') {
    if (way === 'beside') tree.hide(whiteout.hidden);
    else if (way === 'onto' && own?.has(whiteout.hidden.path) !== true) tree.remove(whiteout.hidden);
  }
  return true;
}

async function put(
  reader: TarReader,
  tree: Tree,
  { entry, place, bounds }: { readonly entry: TarEntry; readonly place: Place; readonly bounds: Bounds },
): Promise<void> {
  switch (entry.type) {
    case 'directory':
      tree.makeDirectory(place, entry);
      return;
    case 'file': {
      using file = tree.createFile(place);
      await writeData(reader, file, entry);
      tree.finish(file, entry);
      return;
    }
    case 'symlink':
      tree.makeSymlink(place, entry);
      return;
    case 'hard-link':
      tree.makeHardLink(place, placeOf(entry.linkName));
      return;
    case 'character':
    case 'block':
      bounds.addDevice();
      tree.makeNode(place, entry);
      return;
    case 'fifo':
      tree.makeNode(place, entry);
  }
}

async function writeData(reader: TarReader, file: OwnedFd, { name, size, dataSize }: TarEntry): Promise<void> {
  await reader.read((bytes, offset) => {
    for (let done = 0; done < bytes.length;)
      done += writeSync(file.number, bytes, done, bytes.length - done, offset + done);
  });
  if (size === dataSize) return;
  try {
    ftruncateSync(file.number, size);
  } catch {
    throw refuse(`the sparse file ${showName(name)} has ${size} bytes, more than the file system takes`);
  }
}

/** Paths, with all directories on the way to them. */
class OwnPaths {
  readonly #paths = new Set<string>();
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  add(path: string): void {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const part = path.slice(0, end);
      if (this.#paths.has(part)) return;
      this.#bounds.addName(part.length);
      this.#paths.add(part);
    }
  }
}
