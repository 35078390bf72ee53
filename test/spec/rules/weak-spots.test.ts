import t from 'tap';
import type { DraftConfig } from '../../../src/spec/rules/draft.ts';
import { findWeakSpots } from '../../../src/spec/rules/weak-spots.ts';
import type { NamespaceType } from '../../../src/spec/generated/config.ts';

const types: NamespaceType[] = ['mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'];

/** A container that leaves nothing open. */
const tight = {
  process: { user: { uid: 1000 }, noNewPrivileges: true, capabilities: { bounding: ['CAP_KILL'], permitted: [] } },
  mounts: [
    { destination: '/proc', type: 'proc' },
    { destination: '/sys/fs/cgroup', type: 'cgroup', options: ['ro'] },
    { destination: '/data', type: 'bind', source: '/srv/data' },
  ],
  linux: {
    namespaces: types.map((type) => ({ type })),
    seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
    resources: { devices: [{ allow: false, access: 'rwm' }] },
  },
} satisfies DraftConfig;

t.same(findWeakSpots(tight), [], 'a container that leaves nothing open');

const process = tight.process;
const linux = tight.linux;
const withMount = (mount: object): DraftConfig => ({
  ...tight,
  mounts: [...tight.mounts, { destination: '/x', ...mount }],
});

/** What is changed -> where it is said, and a part of the words. */
const rows: Readonly<Record<string, readonly [DraftConfig, pointer: string, words: string]>> = {
  'no pid namespace': [
    { ...tight, linux: { ...linux, namespaces: linux.namespaces.filter(({ type }) => type !== 'pid') } },
    '/linux/namespaces',
    'has none of type "pid": it sees and can signal processes of the host',
  ],
  root: [{ ...tight, process: { ...process, user: { uid: 0 } } }, '/process/user/uid', 'that is root of the host'],
  'a strong capability': [
    { ...tight, process: { ...process, capabilities: { bounding: ['CAP_KILL', 'CAP_SYS_ADMIN', 'CAP_BPF'] } } },
    '/process/capabilities/bounding',
    'holds CAP_SYS_ADMIN, CAP_BPF: ',
  ],
  'new privileges': [
    { ...tight, process: { ...process, noNewPrivileges: false } },
    '/process/noNewPrivileges',
    'is not true: ',
  ],
  'no filter': [
    { ...tight, linux: { ...linux, seccomp: undefined } },
    '/linux/seccomp',
    'is absent: every system call',
  ],
  'writable cgroups': [withMount({ type: 'cgroup2' }), '/mounts/3', 'can change its own limits'],
  'the socket of an engine': [
    withMount({ type: 'bind', source: '/var/run/docker.sock', options: ['ro'] }),
    '/mounts/3/source',
    'can make containers that are root of the host',
  ],
  'a directory of the host': [
    withMount({ source: '/etc', options: ['rbind'] }),
    '/mounts/3/source',
    'is "/etc" of the host, to write to',
  ],
  'every device': [
    { ...tight, linux: { ...linux, resources: { devices: [{ allow: false }, { allow: true, access: 'rwm' }] } } },
    '/linux/resources/devices/1',
    'allows every device',
  ],
  'no masked paths': [
    { ...tight, linux: { ...linux, maskedPaths: [] } },
    '/linux/maskedPaths',
    'is empty: files of /proc',
  ],
};
for (const [name, [config, pointer, words]] of Object.entries(rows)) {
  const found = findWeakSpots(config);
  t.equal(found.length, 1, `${name}: one remark`);
  t.equal(found[0]?.pointer, pointer, `${name}: where`);
  t.match(found[0]?.message, words, `${name}: what`);
}

t.test('in a user namespace of its own, root and capabilities are good for what is in it alone', (t) => {
  const namespaces = [...linux.namespaces, { type: 'user' as const }];
  const own: DraftConfig = {
    ...tight,
    process: { ...process, user: { uid: 0 }, capabilities: { bounding: ['CAP_SYS_ADMIN'] } },
    linux: { ...linux, namespaces, maskedPaths: [] },
  };
  t.same(findWeakSpots(own), []);
  t.end();
});
