import { writeFileSync } from 'node:fs';
import type { Subject } from '../row.ts';

function where(script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${script}; exec "$@"`, 'sh'];
}

export const hosts: Subject = {
  subject: 'The host',
  rows: [
    {
      name: 'there is no /proc',
      under: () => where('umount -l /proc'),
      cause: /proc/,
      place: '/proc',
    },
    {
      name: 'the directory for states is a file',
      prepare: ({ place }) => {
        writeFileSync(`${place}/file`, '');
      },
      global: ({ place }) => ['--root', `${place}/file`],
      cause: 'not a directory',
      place: 'PLACE/file',
      remedy: '--root',
    },
    {
      name: 'the directory for states cannot be written to',
      under: ({ root }) => where(`mount --bind ${root} ${root}; mount -o remount,bind,ro ${root}`),
      cause: 'read-only file system',
      place: 'ROOT',
      remedy: '--root',
    },
    {
      name: 'the directory for states is the root directory',
      global: () => ['--root', '/'],
      cause: 'should not be set to /',
      place: '--root',
    },
    {
      name: 'the file system of the states is full',
      under: ({ root }) =>
        where(`mount -t tmpfs -o size=4k,mode=700 tmpfs ${root}; head -c 4096 /dev/zero >${root}/full`),
      cause: 'no space left on device',
      place: 'ROOT',
    },
    {
      name: 'no descriptor is free',
      under: () => ['prlimit', '--nofile=12:12'],
      cause: /too many open files/,
      place: 'descriptor',
      remedy: /ulimit -n|LimitNOFILE/,
    },
    {
      name: 'no user namespace may be made',
      bundle: {
        change: (config) => {
          config.linux.namespaces?.push({ type: 'user' });
          config.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 1000 }];
          config.linux.gidMappings = config.linux.uidMappings;
        },
      },
      under: () => [
        'unshare',
        '--user',
        '--map-root-user',
        '--mount',
        'sh',
        '-c',
        'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"',
        'sh',
      ],
      cause: 'no space left on device',
      place: /user/,
      remedy: 'max_user_namespaces',
    },
    {
      name: 'the file for messages cannot be made',
      global: ({ root }) => ['--root', root, '--log', '/no/such/directory/log'],
      cause: 'no such file or directory',
      place: '/no/such/directory/log',
    },
  ],
};
