import { configAnnotations } from './annotations.ts';
import type { Config } from './generated/config.ts';
import { quote } from './quote.ts';

/** A container whose root file system is a layer of its own, over the rootfs of its bundle. */
export interface OverlaySettings {
  /** Where the layer is kept beyond the container: an absolute path on the host. Default: it goes with the container. */
  readonly directory?: string;
  /** Absolute paths on the host of directories between the layer and the rootfs, the uppermost first. */
  readonly lowers: readonly string[];
}

/**
 * Most lower directories beside the rootfs. Their names in the option of overlayfs have one or two letters, and before Linux 6.7 all of
 * them have to fit in the 255 bytes that fsconfig(2) takes.
 */
export const LOWERS_MAX = 96;

/**
 * The value of the annotation, `true` or such as `{"directory": "/data/web", "lower": ["/layers/1"]}`; a text that says what is wrong with
 * it; undefined when it is absent.
 */
export function readOverlay(annotations: Config['annotations']): OverlaySettings | string | undefined {
  const text = annotations?.[configAnnotations.overlay];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (value === true) return { lowers: [] };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `is ${quote(text)}, wanted true, or JSON such as {"directory": "/data/web", "lower": ["/layers/1"]}`;
  const unknown = Object.keys(value).find((name) => name !== 'directory' && name !== 'lower');
  if (unknown !== undefined) return `has ${quote(unknown)}, wanted directory and lower`;
  const { directory, lower = [] } = value as { readonly directory?: unknown; readonly lower?: unknown };
  if (directory !== undefined && !isPath(directory)) return 'has "directory" that is no absolute path';
  if (!Array.isArray(lower) || !lower.every(isPath)) return 'has "lower" that is no list of absolute paths';
  const problem = tooManyLowers(lower);
  return problem ?? { lowers: lower, ...(directory !== undefined && { directory }) };
}

/** What is wrong with the number of lower directories. */
export function tooManyLowers(lowers: readonly string[]): string | undefined {
  if (lowers.length <= LOWERS_MAX) return undefined;
  return `has ${lowers.length} lower directories, wanted at most ${LOWERS_MAX}`;
}

function isPath(path: unknown): path is string {
  return typeof path === 'string' && path.startsWith('/') && !path.includes('\0');
}
