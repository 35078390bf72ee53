import t from 'tap';
import type { Mount } from '../../../src/spec/generated/config.ts';
import {
  checkBindMounts,
  checkIdMappedMounts,
  checkMountNamespace,
  checkMountOnRoot,
  checkMountTypes,
  checkProcMounts,
} from '../../../src/spec/rules/mounts.ts';
import { checkRows } from './rows.ts';

const mount = (destination: string, rest: Partial<Mount> = {}) => ({ mounts: [{ destination, ...rest }] });
const mountNamespace = [{ type: 'mount' as const }];

checkRows(t, checkMountNamespace, {
  accepted: [
    {},
    { mounts: [], linux: { maskedPaths: [], rootfsPropagation: '' } },
    { ...mount('/a'), linux: { namespaces: mountNamespace, readonlyPaths: ['/a'], rootfsPropagation: 'slave' } },
    { ...mount('/a'), zos: {} },
    mount('/a'),
  ],
  refused: [
    [{ linux: { maskedPaths: ['/a'] } }, '/linux/maskedPaths', 'without a private MNT namespace'],
    [{ linux: { readonlyPaths: ['/a'] } }, '/linux/readonlyPaths', 'without a private MNT namespace'],
    [{ linux: { rootfsPropagation: 'shared' } }, '/linux/rootfsPropagation', 'is "shared" without'],
  ],
});

checkRows(t, checkMountOnRoot, {
  accepted: [{}, mount('/a'), mount('a')],
  refused: [
    [mount('/'), '/mounts/0/destination', 'on the top of rootfs'],
    [mount('/a/../.'), '/mounts/0/destination', 'is "/a/../."'],
    [mount('..'), '/mounts/0/destination', 'wanted a path below "/"'],
  ],
});

/** What lxcfs and others replace below /proc. */
const HARMLESS = [
  'cpuinfo',
  'diskstats',
  'meminfo',
  'stat',
  'swaps',
  'uptime',
  'loadavg',
  'slabinfo',
  'sys/kernel/ns_last_pid',
  'sys/crypto/fips_enabled',
];
checkRows(t, checkProcMounts, {
  accepted: [
    {},
    mount('/proc', { type: 'proc' }),
    mount('/proc/', { type: 'bind', source: '/proc' }),
    mount('/proc', { options: ['rbind'] }),
    mount('/proc', { options: ['remount', 'ro'] }),
    ...HARMLESS.map((name) => mount(`/proc/${name}`, { options: ['bind'] })),
    mount('/process'),
  ],
  refused: [
    [mount('/proc', { type: 'tmpfs' }), '/mounts/0/destination', 'not of type proc'],
    [mount('/proc/kcore', { options: ['bind'] }), '/mounts/0/destination', 'inside /proc'],
    [mount('/proc/self', { options: ['bind'] }), '/mounts/0/destination', 'inside /proc'],
    [mount('/tmp/../proc//sys', { type: 'proc' }), '/mounts/0/destination', '/proc/sys cannot be mounted'],
    [mount('proc/cpuinfo/x'), '/mounts/0/destination', 'inside /proc'],
  ],
});

checkRows(t, checkBindMounts, {
  accepted: [
    {},
    mount('/a', { type: 'tmpfs', options: ['size=1k'] }),
    mount('/a', { source: '/b', options: ['rbind', 'ro', 'rro', 'rslave', 'idmap', 'copy-symlink'] }),
    mount('/a', { options: ['bind', 'remount', 'ro'] }),
    mount('/a', { source: '/b', options: ['bind', 'mode=755', 'size=1k'] }),
  ],
  refused: [
    [
      mount('/a', { source: '/b', options: ['rbind', 'ro', 'sizes=1k'] }),
      '/mounts/0/options/2',
      'is "sizes=1k": bind mounts cannot have any filesystem-specific options applied',
    ],
    [
      mount('/a', { type: 'bind', source: '/b', options: ['constructor'] }),
      '/mounts/0/options/0',
      'filesystem-specific',
    ],
    [
      mount('/a', { source: '/b', options: ['bind', 'copy-symlink', 'dest-nofollow'] }),
      '/mounts/0/options',
      'has both "copy-symlink" and "dest-nofollow"',
    ],
    [mount('/a', { options: ['bind'] }), '/mounts/0', 'lacks the property "source"'],
    [mount('/a', { source: '', options: ['bind'] }), '/mounts/0', 'lacks the property "source"'],
  ],
});

checkRows(t, checkMountTypes, {
  accepted: [
    {},
    mount('/a', { type: 'tmpfs' }),
    mount('/a', { options: ['bind'] }),
    mount('/a', { options: ['remount'] }),
  ],
  refused: [
    [mount('/a'), '/mounts/0', 'lacks the property "type"'],
    [mount('/a', { type: '', options: ['ro'] }), '/mounts/0', 'lacks the property "type"'],
  ],
});

const mappings = [{ containerID: 0, hostID: 1, size: 1 }];
const mapped = { uidMappings: mappings, gidMappings: mappings };
checkRows(t, checkIdMappedMounts, {
  accepted: [
    {},
    mount('/a', { type: 'tmpfs' }),
    mount('/a', { options: ['bind'], ...mapped }),
    mount('/a', { options: ['rbind', 'ridmap'], ...mapped }),
    { ...mount('/a', { options: ['bind', 'idmap'] }), linux: { namespaces: [{ type: 'user' }] } },
  ],
  refused: [
    [mount('/a', { type: 'tmpfs', uidMappings: mappings }), '/mounts/0', 'wanted a bind mount'],
    [mount('/a', { type: 'tmpfs', ...mapped }), '/mounts/0', 'wanted a bind mount'],
    [mount('/a', { options: ['bind', 'idmap'] }), '/mounts/0', 'is id-mapped without mappings'],
  ],
});
