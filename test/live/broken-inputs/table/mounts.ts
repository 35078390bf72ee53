import { symlinkSync } from 'node:fs';
import path from 'node:path';
import type { Mount } from '../../../../src/spec/generated/config.ts';
import type { BundleOptions } from '../../support/rig.ts';
import type { Subject } from '../row.ts';

/** A bundle with one more mount, which is /mounts/7. */
function mount(added: Mount, fill?: (rootfs: string) => void): BundleOptions {
  return { change: (config) => config.mounts.push(added), ...(fill && { fill }) };
}

export const mounts: Subject = {
  subject: 'Mounts',
  rows: [
    {
      name: 'an option that tmpfs does not have',
      bundle: mount({ destination: '/d', type: 'tmpfs', source: 'x', options: ['nosuid', 'sise=1m'] }),
      cause: "Unknown parameter 'sise'",
      place: /"\/d".*\/mounts\/7/,
      remedy: 'nosuid,sise=1m',
    },
    {
      name: 'an option of tmpfs with a value that is none',
      bundle: mount({ destination: '/d', type: 'tmpfs', source: 'x', options: ['size=lots'] }),
      cause: "Bad value for 'size'",
      place: '/mounts/7',
      remedy: 'size=lots',
    },
    {
      name: 'a file system that the kernel does not have',
      bundle: mount({ destination: '/d', type: 'nosuchfs', source: 'x' }),
      cause: 'this kernel has no file system of type "nosuchfs"',
      place: '/mounts/7',
      remedy: 'modprobe nosuchfs',
    },
    {
      name: 'the source of a bind mount is not there',
      bundle: mount({ destination: '/d', source: '/no/such/source', options: ['bind'] }),
      cause: 'no such file or directory',
      place: /\/mounts\/7\/source.*"\/no\/such\/source"/,
    },
    {
      name: 'a bind mount without its source',
      bundle: mount({ destination: '/d', options: ['bind'] }),
      cause: /source/,
      place: '/mounts/7',
    },
    {
      name: 'a file is bound on a directory',
      bundle: mount({ destination: '/etc', source: '/etc/passwd', options: ['bind'] }),
      cause: 'a file on a directory',
      place: /"\/etc".*\/mounts\/7/,
    },
    {
      name: 'a directory is bound on a file',
      bundle: mount({ destination: '/etc/passwd', source: '/tmp', options: ['bind'] }),
      cause: /a directory on a file|not a directory/,
      place: '/mounts/7',
    },
    {
      name: 'a tmpfs on a file',
      bundle: mount({ destination: '/etc/passwd', type: 'tmpfs', source: 'x' }),
      cause: 'not a directory',
      place: /"\/etc\/passwd".*\/mounts\/7/,
    },
    {
      name: 'a layer of an overlay is not there',
      bundle: mount({ destination: '/d', type: 'overlay', source: 'x', options: ['lowerdir=/bin:/no/such/layer'] }),
      cause: 'there is no "/no/such/layer"',
      place: '/mounts/7',
      remedy: 'lowerdir',
    },
    {
      name: 'an overlay without layers',
      bundle: mount({ destination: '/d', type: 'overlay', source: 'x' }),
      cause: /lowerdir|there are no options/,
      place: '/mounts/7',
    },
    {
      name: 'the destination goes round in a circle',
      bundle: mount({ destination: '/loop/d', type: 'tmpfs', source: 'x' }, (rootfs) => {
        symlinkSync('loop', path.join(rootfs, 'loop'));
      }),
      cause: 'too many levels of symbolic links',
      place: /\/loop\/d.*\/mounts\/7/,
    },
    {
      name: 'the way to the destination leads through a file',
      bundle: mount({ destination: '/etc/passwd/d', type: 'tmpfs', source: 'x' }),
      cause: 'not a directory',
      place: /\/etc\/passwd\/d.*\/mounts\/7/,
    },
    {
      name: 'a mount over a file of /proc',
      bundle: mount({ destination: '/proc/sys/kernel', type: 'tmpfs', source: 'x' }),
      cause: /proc/,
      place: '/mounts/7',
    },
    {
      name: 'a mount of ids that are mapped, without a map',
      bundle: mount({ destination: '/d', source: '/tmp', options: ['bind', 'idmap'] }),
      cause: /map/,
      place: '/mounts/7',
    },
    {
      name: 'a mount of mapped ids of a file system that cannot map them',
      bundle: mount({
        ...{ destination: '/d', source: '/proc', options: ['bind', 'idmap'] },
        uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      }),
      cause: /file system|mapped/,
      place: '/mounts/7',
    },
    {
      name: 'two options that contradict each other about where mounts spread',
      bundle: mount({ destination: '/d', source: '/tmp', options: ['bind', 'shared', 'nosuchflag'] }),
      cause: /nosuchflag/,
      place: '/mounts/7',
    },
    {
      name: 'the destination is not there and the root file system cannot be written to',
      bundle: mount({ destination: '/made/here', type: 'tmpfs', source: 'x' }),
      under: ({ rig }) => readOnly(rig.rootfs),
      cause: 'read-only file system',
      place: /"\/made".*\/mounts\/7/,
    },
    {
      name: 'a device that holds no file system of this type',
      bundle: mount({ destination: '/d', type: 'ext4', source: '/dev/null' }),
      cause: /block device/,
      place: '/mounts/7',
    },
  ],
};

/** A directory that cannot be written to. */
function readOnly(directory: string): string[] {
  const script = `mount --bind ${directory} ${directory} && mount -o remount,bind,ro ${directory} && exec "$@"`;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
}
