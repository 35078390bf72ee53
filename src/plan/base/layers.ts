/**
 * The layer of a container, and over what it lies. In its directory:
 *
 *     0, 1, ... a, b ...   links to the lower directories, the uppermost first, the bundle's rootfs last
 *     upper                what the container has changed
 *     work                 the kernel's own
 *     maps                 whose ids the files are that an ordinary user's container makes, where it has more than its user's own
 *     state                link to the state directory of the container that has it
 *
 * By the links no path of the host is an option of overlayfs, where commas, colons and backslashes mean something and length is short.
 */
export interface OverlayLayers {
  /** Absolute, symlinks resolved. */
  readonly directory: string;
  /** Absolute, symlinks resolved; the rootfs is the last. */
  readonly lowers: readonly string[];
  /** It stays when the container goes. */
  readonly isKept: boolean;
  readonly marks: Marks;
}

/** The attributes in which overlayfs keeps its marks: those that only root of the machine may write, where that is who mounts. */
export type Marks = 'trusted' | 'user';

/** Names in the directory of a layer. */
export const LAYER_NAMES = { upper: 'upper', work: 'work', maps: 'maps', owner: 'state' } as const;

/** Name of the link to a lower directory. */
export function lowerName(index: number): string {
  return index.toString(36);
}

/** Name of the attribute of a directory that hides what lies below it; its value is `y` then. */
export function opaqueAttribute(marks: Marks): string {
  return `${marks}.overlay.opaque`;
}
