import t from 'tap';
import type { Linux } from '../../../src/spec/generated/config.ts';
import { checkNamespaces, checkNetDevices, checkTimeOffsets } from '../../../src/spec/rules/namespaces.ts';
import { checkRows } from './rows.ts';

checkRows(t, checkNamespaces, {
  accepted: [{}, { linux: { namespaces: [{ type: 'pid' }, { type: 'ipc', path: '/proc/1/ns/ipc' }, undefined] } }],
  refused: [
    [
      { linux: { namespaces: [{ type: 'pid' }, { type: 'uts' }, { type: 'pid', path: '/a' }] } },
      '/linux/namespaces/2',
      'a second namespace of type "pid"',
    ],
  ],
});

const timeOffsets = { monotonic: { secs: 1 } };
checkRows(t, checkTimeOffsets, {
  accepted: [
    {},
    { linux: { timeOffsets: {} } },
    { linux: { timeOffsets, namespaces: [{ type: 'time' }] } },
    { linux: { timeOffsets, namespaces: [{ type: 'time', path: '' }] } },
  ],
  refused: [
    [{ linux: { timeOffsets } }, '/linux/timeOffsets', 'wanted a namespace of type "time" without a path'],
    [{ linux: { timeOffsets, namespaces: [{ type: 'time', path: '/a' }] } }, '/linux/timeOffsets', 'that is joined'],
  ],
});

const withNetwork = (netDevices: NonNullable<Linux['netDevices']>) => ({
  linux: { netDevices, namespaces: [{ type: 'network' as const }] },
});
checkRows(t, checkNetDevices, {
  accepted: [
    {},
    { linux: { netDevices: {} } },
    withNetwork({ eth0: {}, eth1: { name: '' }, eth2: { name: 'wan%d' }, eth3: { name: 'wan%d' } }),
  ],
  refused: [
    [withNetwork({ eth0: { name: 'a/b' } }), '/linux/netDevices/eth0/name', 'is "a/b", wanted 1 to 15 characters'],
    [withNetwork({ 'a b': { name: 'ok' } }), '/linux/netDevices/a b', 'is named "a b"'],
    [withNetwork({ eth0: { name: '..' } }), '/linux/netDevices/eth0/name', 'is ".."'],
    [withNetwork({ eth0: { name: 'sixteen-letters-' } }), '/linux/netDevices/eth0/name', '1 to 15'],
    [
      withNetwork({ eth0: { name: 'a' }, eth1: { name: 'a' } }),
      '/linux/netDevices/eth1',
      'the second device named "a"',
    ],
  ],
});
