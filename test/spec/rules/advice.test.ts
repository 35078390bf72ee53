import t from 'tap';
import { advice } from '../../../src/spec/rules/advice.ts';
import { checkRows, type Rows } from './rows.ts';

const mappings = [{ containerID: 0, hostID: 1, size: 1 }];

const rows: Record<string, Rows> = {
  'network-devices': {
    accepted: [
      {},
      { linux: { netDevices: {} } },
      { linux: { netDevices: { a: {} }, namespaces: [{ type: 'network' }] } },
    ],
    refused: [[{ linux: { netDevices: { eth0: {} } } }, '/linux/netDevices', 'without a namespace of type "network"']],
  },
  'spec-version': {
    accepted: [{}, { ociVersion: '1.0.2-dev' }, { ociVersion: '1.3.0' }, { ociVersion: '1.3.7' }],
    refused: [
      [{ ociVersion: '1.4.0' }, '/ociVersion', 'newer than 1.3.0'],
      [{ ociVersion: '0.5.0' }, '/ociVersion', 'predates 1.0.0'],
      [{ ociVersion: '1.0' }, '/ociVersion', 'is "1.0", no semantic version: read as 1.0.0'],
      [{ ociVersion: '01.02' }, '/ociVersion', 'is "01.02", no semantic version'],
    ],
  },
  capabilities: {
    accepted: [{}, { process: { capabilities: {} } }, { process: { capabilities: { effective: ['CAP_NEW'] } } }],
    refused: [[{ process: { cwd: '/' } }, '/process/capabilities', 'is absent: the program gets no capabilities']],
  },
  'mount-extensions': {
    accepted: [
      {},
      { mounts: [{ destination: '/a', type: 'tmpfs', options: ['tmpcopyup', 'dest-nofollow', 'size=1k'] }] },
      { mounts: [{ destination: '/a', source: '/b', options: ['bind', 'src-nofollow', 'idmap'] }] },
    ],
    refused: [
      [
        { mounts: [{ destination: '/a', type: 'proc', options: ['nodev', 'tmpcopyup'] }] },
        '/mounts/0/options/1',
        'is "tmpcopyup": it has no effect on a mount of type "proc"',
      ],
      [
        { mounts: [{ destination: '/a', source: '/b', options: ['bind', 'tmpcopyup'] }] },
        '/mounts/0/options/1',
        'is "tmpcopyup": it has no effect on a bind mount',
      ],
    ],
  },
  'tmpfs-options': {
    accepted: [
      {},
      { mounts: [{ destination: '/a', type: 'tmpfs', options: ['size=1k'] }] },
      { mounts: [{ destination: '/a', source: '/b', options: ['bind', 'ro'] }] },
    ],
    refused: [
      [
        { mounts: [{ destination: '/a', source: '/b', options: ['bind', 'ro', 'size=1k'] }] },
        '/mounts/0/options/2',
        'an option of tmpfs: it has no effect on a bind mount',
      ],
    ],
  },
  'relative-destinations': {
    accepted: [{}, { mounts: [{ destination: '/a' }, undefined] }],
    refused: [[{ mounts: [{ destination: 'a' }] }, '/mounts/0/destination', 'deprecated']],
  },
  'joined-user-namespace': {
    accepted: [
      {},
      { linux: { uidMappings: mappings, namespaces: [{ type: 'user' }] } },
      { linux: { namespaces: [{ type: 'user', path: '/a' }] } },
    ],
    refused: [
      [
        { linux: { uidMappings: mappings, namespaces: [{ type: 'pid' }, { type: 'user', path: '/a' }] } },
        '/linux/namespaces/1',
        'joins "/a" although there are mappings',
      ],
    ],
  },
  'personality-flags': {
    accepted: [{}, { linux: { personality: { domain: 'LINUX32', flags: [] } } }],
    refused: [[{ linux: { personality: { flags: ['X'] } } }, '/linux/personality/flags', 'is ["X"]']],
  },
};

for (const { name, check } of advice) checkRows(t, check, rows[name] ?? { accepted: [], refused: [] });
