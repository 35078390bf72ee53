import { isBindMount } from '../../spec/bind-mount.ts';
import type { Config, Mount } from '../../spec/generated/config.ts';

/**
 * A config whose container has the mounts of another and nothing else: making it makes in the rootfs what they are mounted on, and at its
 * end they are gone. CRIU mounts only on what is there.
 */
export function mountPointsConfig({ ociVersion, root, mounts = [], linux }: Config): Config {
  return {
    ociVersion,
    ...(root !== undefined && { root: { path: root.path } }),
    mounts: mounts.flatMap(plainMount),
    linux: {
      namespaces: [{ type: 'mount' }],
      ...(linux?.devices !== undefined && { devices: linux.devices }),
    },
  };
}

/** What decides about ids and copies makes no mount points. */
const ABOUT_CONTENT = /^r?(?:id|bind-id)map(?:=|$)|^tmpcopyup$/;

/** What cgroups are mounted on comes with the file system that it is in. */
function plainMount(mount: Mount): Mount[] {
  const { destination, type, source, options = [] } = mount;
  if (type === 'cgroup' && !isBindMount(mount)) return [];
  return [
    {
      destination,
      ...(type !== undefined && { type }),
      ...(source !== undefined && { source }),
      options: options.filter((option) => !ABOUT_CONTENT.test(option)),
    },
  ];
}
