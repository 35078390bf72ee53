import t from 'tap';
import { refuseOnThisHost } from '../../src/plan/host-rules.ts';
import type { Config } from '../../src/spec/generated/config.ts';
import { TsrunError } from '../../src/errors.ts';
import { makeContext, type ContextChanges } from './fixtures.ts';

const namespaces = { user: '1', net: '2' };

function refuse(config: Partial<Config>, bundle: ContextChanges['bundle'] = {}): void {
  refuseOnThisHost(makeContext({ config, bundle, host: { namespaces } }));
}

/** The issues of a refusal; none when it is none. */
function issuesOf(...args: Parameters<typeof refuse>) {
  try {
    refuse(...args);
    return [];
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'bundle') return error.issues;
    throw error;
  }
}

t.test('refuseOnThisHost() accepts what is there', (t) => {
  const linux: Config['linux'] = {
    namespaces: [{ type: 'user', path: '/u' }, { type: 'network', path: '/n' }, { type: 'pid' }],
    sysctl: { 'net.ipv4.ip_forward': '1' },
  };
  t.doesNotThrow(() => {
    refuse({ linux }, { namespaces: { '/u': '8', '/n': '9' } });
  });
  t.end();
});

t.test('refuseOnThisHost() names everything that is missing at once', (t) => {
  const config: Partial<Config> = {
    mounts: [
      { destination: '/a', source: '/gone', options: ['bind'] },
      { destination: '/b', source: '/gone', type: 'tmpfs' },
      { destination: '/c', source: 'data', options: ['rbind'] },
    ],
    linux: { namespaces: [{ type: 'mount' }, { type: 'ipc', path: '/i' }] },
  };
  const sources = { '/gone': 'missing', '/bundle/data': 'missing' } as const;
  t.throws(
    () => {
      refuse(config, { sources, namespaces: { '/i': 'missing' } });
    },
    {
      code: 'bundle',
      issues: [
        { pointer: '/mounts/0/source', message: '"/gone" does not exist: no such file or directory' },
        { pointer: '/mounts/2/source', message: '"/bundle/data" does not exist: no such file or directory' },
        {
          pointer: '/linux/namespaces/1/path',
          message: 'ipc namespace "/i" does not exist: no such file or directory',
        },
      ],
    },
  );
  t.end();
});

t.test('refuseOnThisHost() leaves sources inside the rootfs to their turn, but for symlinks to be copied', (t) => {
  const mounts = [
    { destination: '/a', source: '/r/a', options: ['bind'] },
    { destination: '/b', source: '/r/link', options: ['bind', 'copy-symlink'] },
    { destination: '/c', source: '/dangling', options: ['bind', 'src-nofollow'] },
    { destination: '/d', source: '/dangling', options: ['bind'] },
    { destination: '/e', options: ['bind', 'remount'] },
  ];
  const bundle: ContextChanges['bundle'] = {
    sources: { '/r/a': 'missing', '/r/link': 'file', '/dangling': 'missing', '/bundle/': 'missing' },
    inRootfs: { '/r/a': '/a', '/r/link': '/link' },
    links: { '/r/link': 'x', '/dangling': '/gone' },
  };
  t.match(issuesOf({ mounts }, bundle), [
    {
      pointer: '/mounts/1/source',
      message: '"/r/link" is a symlink inside the rootfs, wanted one of the host to copy',
    },
    { pointer: '/mounts/3/source', message: '"/dangling" does not exist: no such file or directory' },
  ]);
  t.equal(issuesOf({ mounts }, bundle).length, 2);
  t.end();
});

t.test('refuseOnThisHost() refuses destinations that are what they are behind the place of the rootfs', (t) => {
  const mounts = ['/', '/proc/self'].map((destination) => ({ destination, source: '/s', options: ['bind'] }));
  t.match(issuesOf({ mounts }, { sources: { '/s': 'directory' } }), [
    { pointer: '/mounts/0/destination', message: /top of rootfs/ },
    { pointer: '/mounts/1/destination', message: /inside \/proc/ },
  ]);
  t.end();
});

t.test('refuseOnThisHost() refuses the own user namespace, which setns(2) would', (t) => {
  t.match(issuesOf({ linux: { namespaces: [{ type: 'user', path: '/u' }] } }, { namespaces: { '/u': '1' } }), [
    { pointer: '/linux/namespaces/0/path', message: /is the user namespace that tsrun is in/ },
  ]);
  t.end();
});

t.test('refuseOnThisHost() keeps sysctls out of the network namespace of the host', (t) => {
  const linux: Config['linux'] = {
    namespaces: [{ type: 'network', path: '/n' }],
    sysctl: { 'net.ipv4.ip_forward': '1', 'net/core/somaxconn': '9', 'kernel.shmmax': '5' },
  };
  const issues = issuesOf({ linux }, { namespaces: { '/n': '2' } });
  t.same(
    issues.map(({ pointer }) => pointer),
    ['/linux/sysctl/net.ipv4.ip_forward', '/linux/sysctl/net~1core~1somaxconn'],
  );
  t.end();
});
