import { isBindMount } from '../spec/bind-mount.ts';
import type { Config } from '../spec/generated/config.ts';
import { bindSource } from './bind-mounts.ts';
import { components } from './handles.ts';

/** The places of the host that a config names, for `host/` to look at. */
export interface Lookups {
  /** Root file system: absolute, or relative to the bundle. */
  readonly rootfs: string;
  /** Sources of bind mounts, absolute. */
  readonly sources: readonly string[];
  /** Paths inside the rootfs at which something is made when it is missing. */
  readonly destinations: readonly string[];
  /** Files of namespaces to join. */
  readonly namespaces: readonly string[];
}

/** What has to be looked at before a container can be planned. */
export function planLookups(config: Config, bundle: string): Lookups {
  const sources = (config.mounts ?? []).filter(isBindMount).map((mount) => bindSource(mount, bundle));
  const namespaces = (config.linux?.namespaces ?? []).flatMap(({ path }) =>
    path === undefined || path === '' ? [] : [path],
  );
  const cwd = config.process === undefined ? [] : [config.process.cwd];
  // As the planner spells them when it looks them up.
  const destinations = [...(config.mounts ?? []).map(({ destination }) => destination), ...cwd].map(
    (path) => `/${components(path).join('/')}`,
  );
  return { rootfs: config.root?.path ?? '', sources: [...new Set(sources)], destinations, namespaces };
}
