import type { Config } from '../../spec/generated/config.ts';
import { components } from '../base/handles.ts';

/**
 * The config with the destinations of mounts as paths inside the rootfs, where they name the rootfs' place on the host in front:
 * `/bundle/rootfs/data` is `/data`, as for runc. `rootfs`: the spellings of that place. Where nothing changes it is the same config.
 */
export function stripRootfsPrefix(config: Config, rootfs: readonly string[]): Config {
  const { mounts } = config;
  if (mounts === undefined) return config;
  const places = rootfs.map(components).filter((place) => place.length > 0);
  const destinations = mounts.map(({ destination }) => stripPrefix(destination, places));
  if (mounts.every(({ destination }, index) => destination === destinations[index])) return config;
  return {
    ...config,
    mounts: mounts.map((mount, index) => ({ ...mount, destination: destinations[index] ?? mount.destination })),
  };
}

function stripPrefix(destination: string, places: readonly (readonly string[])[]): string {
  const parts = components(destination);
  const place = places.find((names) => names.every((name, depth) => parts[depth] === name));
  return place === undefined ? destination : `/${parts.slice(place.length).join('/')}`;
}
