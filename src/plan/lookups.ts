import { isBindMount } from '../spec/bind-mount.ts';
import type { Config, Mount } from '../spec/generated/config.ts';
import { bindSource } from './rootfs/bind-source.ts';
import { deviceKey, listDevices } from './rootfs/device-nodes.ts';
import { components } from './base/handles.ts';
import { S_IFIFO } from '../util/constants.ts';

/** The places of the host that a config names, for `host/` to look at. */
export interface Lookups {
  /** Sources of bind mounts, absolute. */
  readonly sources: readonly string[];
  /** Those of them that are not followed where they are symlinks. */
  readonly links: readonly string[];
  /** Paths inside the rootfs at which something is made when it is missing. */
  readonly destinations: readonly string[];
  /** Devices that the config lists, each with the path that it has there, which is most often the host's. */
  readonly devices: readonly { readonly key: string; readonly path: string }[];
  /** Files of namespaces to join. */
  readonly namespaces: readonly string[];
}

/** What has to be looked at before a container can be planned. */
export function planLookups(config: Config, bundle: string): Lookups {
  const binds = (config.mounts ?? []).filter((mount) => isBindMount(mount) && !has(mount, 'remount'));
  const sources = binds.map((mount) => bindSource(mount, bundle));
  const links = binds
    .filter((mount) => has(mount, 'src-nofollow') || has(mount, 'copy-symlink'))
    .map((mount) => bindSource(mount, bundle));
  const namespaces = (config.linux?.namespaces ?? []).flatMap(({ path }) =>
    path === undefined || path === '' ? [] : [path],
  );
  const cwd = config.process === undefined ? [] : [config.process.cwd];
  // As the planner spells them when it looks them up.
  const destinations = [...(config.mounts ?? []).map(({ destination }) => destination), ...cwd].map(
    (path) => `/${components(path).join('/')}`,
  );
  const devices = listDevices(config)
    .filter(({ pointer, fileType }) => pointer !== undefined && fileType !== S_IFIFO)
    .map((node) => ({ key: deviceKey(node), path: node.path }));
  return {
    sources: [...new Set(sources)],
    links: [...new Set(links)],
    destinations,
    devices,
    namespaces,
  };
}

function has({ options = [] }: Mount, option: string): boolean {
  return options.includes(option);
}
