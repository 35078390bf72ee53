import { refuse, showName } from '../refuse.ts';

/** Where an entry goes: a path below the root of an image, one byte a character (latin1). The root itself is empty. */
export interface Place {
  readonly path: string;
  /** The path of the directory that it is in. */
  readonly directory: string;
  readonly base: string;
}

/** The longest name of a file (include/uapi/linux/limits.h). */
const NAME_MAX = 255;
/** Paths of Linux are shorter. */
const PATH_MAX = 4096;

/** What a whiteout hides: a name, or all that lower layers have in its directory. Source: image-spec, layer.md, "Whiteouts". */
export type Whiteout = { readonly kind: 'name'; readonly hidden: Place } | { readonly kind: 'opaque' | 'none' };

const WHITEOUT = '.wh.';
/** The mark of AUFS's own files, of which one hides a directory's content. */
const OWN_OF_AUFS = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';

/** Where a name of an archive leads. Errors: `bundle` for one that is absolute, has `..` in it, or is too long. */
export function placeOf(name: string): Place {
  if (name.startsWith('/') && /[^/]/.test(name)) throw refuse(`the name ${showName(name)} is absolute`);
  if (name.length > PATH_MAX) throw refuse(`the name ${showName(name)} is longer than ${PATH_MAX} bytes`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse(`the name ${showName(name)} has ".." in it`);
  if (parts.some((part) => part.length > NAME_MAX))
    throw refuse(`the name ${showName(name)} has a part of more than ${NAME_MAX} bytes`);
  return { path: parts.join('/'), directory: parts.slice(0, -1).join('/'), base: parts.at(-1) ?? '' };
}

/** What an entry hides, where its name says that it does so. Errors: `bundle`. */
export function whiteoutOf({ directory, base }: Place): Whiteout | undefined {
  if (!base.startsWith(WHITEOUT)) return undefined;
  if (base === OPAQUE) return { kind: 'opaque' };
  if (base.startsWith(OWN_OF_AUFS)) return { kind: 'none' };
  const hidden = base.slice(WHITEOUT.length);
  if (['', '.', '..'].includes(hidden)) throw refuse(`the whiteout ${showName(base)} hides no name`);
  return {
    kind: 'name',
    hidden: { path: directory === '' ? hidden : `${directory}/${hidden}`, directory, base: hidden },
  };
}
