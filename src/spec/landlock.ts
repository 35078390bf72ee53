import { configAnnotations } from './annotations.ts';
import type { Config } from './generated/config.ts';
import { quote } from './quote.ts';

/** What may be done below which paths of the container. Everything that no list allows is denied. */
export interface LandlockPaths {
  /** Read files and list directories. */
  readonly read: readonly string[];
  /** The same, and execute files. */
  readonly execute: readonly string[];
  /** Everything but execute. */
  readonly write: readonly string[];
}

const KINDS = ['read', 'execute', 'write'] as const;
/** Each path costs init some steps. */
const MAX_PATHS = 256;

/**
 * The value of the annotation, such as `{"execute": ["/"], "write": ["/tmp", "/dev"]}`; a text that says what is wrong with it;
 * undefined when it is absent.
 */
export function readLandlock(annotations: Config['annotations']): LandlockPaths | string | undefined {
  const text = annotations?.[configAnnotations.landlock];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return `is ${quote(text)}, wanted JSON such as {"execute": ["/"], "write": ["/tmp"]}`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `is no JSON object`;
  const unknown = Object.keys(value).find((name) => !(KINDS as readonly string[]).includes(name));
  if (unknown !== undefined) return `has ${quote(unknown)}, wanted ${KINDS.join(', ')}`;
  const lists = Object.fromEntries(KINDS.map((kind) => [kind, (value as Record<string, unknown>)[kind] ?? []]));
  for (const [kind, list] of Object.entries(lists))
    if (!isPaths(list)) return `has ${quote(kind)} that is no list of absolute paths`;
  const paths = lists as unknown as LandlockPaths;
  const count = KINDS.reduce((sum, kind) => sum + paths[kind].length, 0);
  return count > MAX_PATHS ? `has ${count} paths, wanted at most ${MAX_PATHS}` : paths;
}

function isPaths(list: unknown): boolean {
  if (!Array.isArray(list)) return false;
  return list.every((path) => typeof path === 'string' && path.startsWith('/') && !path.includes('\0'));
}
