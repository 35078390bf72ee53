import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { specTemplate } from '../../../../src/spec/template.ts';
import { setUserNamespace } from '../../support/namespaces.ts';
import type { BaseConfig, BundleOptions } from '../../support/rig.ts';
import type { Scene, Subject } from '../row.ts';

const NOBODY = 65534;

/** The config of `tsrun spec --rootless`. */
function rootless(change: (config: BaseConfig) => void = () => undefined): BundleOptions {
  return {
    change: (config) => {
      const template = specTemplate({ rootless: true, uid: NOBODY, gid: NOBODY }) as BaseConfig;
      const { root } = config;
      Object.assign(config, template, { root, ociVersion: '1.0.2' });
      config.process = { ...template.process, terminal: false, args: ['true'] };
      change(config);
    },
  };
}

function mapMore(config: BaseConfig): void {
  config.linux.uidMappings = [
    { containerID: 0, hostID: NOBODY, size: 1 },
    { containerID: 1, hostID: 200_000, size: 1000 },
  ];
  config.linux.gidMappings = config.linux.uidMappings;
}

/** A host where nobody owns subordinate ids, or lacks something, in a mount namespace of its own. */
function where(script: string) {
  return ({ place }: Scene): string[] => [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
    `cd ${place}; ${script}; cd /; exec "$@"`,
    'sh',
  ];
}

export const users: Subject = {
  subject: 'Ordinary users',
  rows: [
    {
      name: 'an ordinary user and a config for root',
      ordinaryUser: true,
      cause: /user namespace|not permitted/,
      place: '65534',
      remedy: 'tsrun spec --rootless',
    },
    {
      name: 'there is no directory for states that the user may write to',
      ordinaryUser: true,
      bundle: rootless(),
      global: () => [],
      under: where('mount -t tmpfs -o mode=755 tmpfs /run'),
      cause: 'permission denied',
      place: '/run',
      remedy: /--root.*XDG_RUNTIME_DIR|XDG_RUNTIME_DIR.*--root/,
    },
    {
      name: 'the user owns no subordinate ids',
      ordinaryUser: true,
      bundle: rootless(mapMore),
      cause: /newuidmap|newgidmap/,
      place: /\/linux\/[ug]idMappings/,
      remedy: 'nobody:200000:1000',
    },
    {
      name: 'newuidmap and newgidmap are not installed',
      ordinaryUser: true,
      bundle: rootless(mapMore),
      under: where(
        'mkdir -p u w; mount -t overlay -o lowerdir=/usr/bin,upperdir=$PWD/u,workdir=$PWD/w x /usr/bin; rm /usr/bin/newuidmap /usr/bin/newgidmap',
      ),
      cause: /new[ug]idmap/,
      place: /\/linux\/[ug]idMappings/,
      remedy: 'apt install uidmap',
    },
    {
      name: 'another id than its own is mapped',
      ordinaryUser: true,
      bundle: rootless((config) => {
        config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }];
      }),
      cause: 'not allowed',
      place: '/linux/uidMappings',
      remedy: 'may map its own uid 65534',
    },
    {
      name: 'limits, and no cgroup that the user may make',
      ordinaryUser: true,
      bundle: rootless((config) => (config.linux.resources = { pids: { limit: 10 } })),
      cause: 'permission denied',
      place: /make cgroup/,
      remedy: /Delegate|--systemd-cgroup|unified_cgroup_hierarchy/,
    },
    {
      name: 'the user may not read the bundle',
      ordinaryUser: true,
      bundle: rootless(),
      prepare: ({ bundle }) => {
        chmodSync(path.join(bundle, 'config.json'), 0o600);
      },
      cause: 'permission denied',
      place: 'BUNDLE/config.json',
    },
    {
      name: 'mapped root may not enter a directory on the way to its root file system',
      bundle: {
        fill: () => undefined,
        change: (config) => {
          setUserNamespace(config);
        },
      },
      prepare: ({ bundle }) => {
        chmodSync(bundle, 0o700);
      },
      cause: 'permission denied',
      place: /ROOTFS.*\/root\/path/,
      remedy: /user 100000 of group 100000 may not enter "BUNDLE"/,
    },
    {
      name: 'an ordinary user may not enter a directory on the way to the source of a bind mount',
      ordinaryUser: true,
      bundle: rootless((config) => {
        config.mounts.push({ destination: '/mnt', type: 'bind', source: 'closed/data', options: ['bind'] });
      }),
      prepare: ({ bundle }) => {
        mkdirSync(path.join(bundle, 'closed/data'), { recursive: true });
        chmodSync(path.join(bundle, 'closed'), 0o700);
      },
      cause: 'permission denied',
      place: /\/mounts\/\d+\/source/,
      remedy: /user 65534 of group 65534 may not enter "BUNDLE\/closed"/,
    },
    {
      name: 'mapped root may not enter a directory on the way to the working directory',
      bundle: {
        fill: (rootfs) => {
          mkdirSync(path.join(rootfs, 'closed/work'), { recursive: true });
          chmodSync(path.join(rootfs, 'closed'), 0o700);
        },
        change: (config) => {
          setUserNamespace(config);
          config.process.cwd = '/closed/work';
        },
      },
      cause: 'permission denied',
      place: '/process/cwd',
      remedy: /user 100000 of group 100000 may not enter "\/closed" of the rootfs/,
    },
  ],
};
