import type { Mount, Namespace } from '../../spec/generated/config.ts';
import { parseJson, stringifyJson } from '../../spec/parse.ts';

/** What becomes of the network of a config. */
export interface NetworkRewriting {
  /** In place of the config's own: a new one, one that is joined, or none. */
  readonly namespace: 'new' | 'none' | { readonly path: string };
  /** Path in the container -> absolute path of the file on the host that is seen there, unless the config mounts something else. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * The text of a config with another network. It is read and checked like any other afterwards: with the network of the host, say, the
 * sysctls of a network are refused. A text that is no JSON, or no config at these places, stays as it is, for the same reason.
 */
export function rewriteNetwork(text: string, { namespace, files }: NetworkRewriting): string {
  const config = read(text);
  if (!isObject(config)) return text;
  const { linux = {}, mounts = [] } = config;
  if (!isObject(linux) || !Array.isArray(mounts)) return text;
  const { namespaces = [] } = linux;
  if (!Array.isArray(namespaces)) return text;
  const others = (namespaces as unknown[]).filter((entry) => !isObject(entry) || entry['type'] !== 'network');
  const own: Namespace[] = namespace === 'none' ? [] : [{ type: 'network', ...(namespace === 'new' ? {} : namespace) }];
  return stringifyJson({
    ...config,
    linux: { ...linux, namespaces: [...others, ...own] },
    mounts: [...(mounts as unknown[]), ...planFileMounts(files, mounts)],
  });
}

function planFileMounts(files: NetworkRewriting['files'], mounts: readonly unknown[]): Mount[] {
  const taken = new Set(mounts.map((mount) => (isObject(mount) ? mount['destination'] : undefined)));
  return Object.entries(files)
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => ({
      destination,
      type: 'bind',
      source,
      options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'],
    }));
}

function read(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
