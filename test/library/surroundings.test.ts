import t from 'tap';
import { checkNetwork, checkOverlay, checkPublish, toNetwork, toOverlay } from '../../src/library/surroundings.ts';

t.test('options take what they should, and nothing else', (t) => {
  const rows: [(value: unknown) => string | undefined, good: unknown[], bad: unknown[]][] = [
    [
      checkOverlay,
      [true, {}, { directory: '/a' }, { lower: ['/a', '/b'] }],
      [
        false,
        null,
        [],
        'a',
        { directory: 'a' },
        { directory: '/a\0b' },
        { lower: '/a' },
        { lower: ['a'] },
        { upper: '/a' },
        { lower: Array.from({ length: 97 }, () => '/a') },
      ],
    ],
    [
      checkNetwork,
      ['none', 'host', 'bridge', 'container:web', 'ns:/run/netns/a', 'cni:web'],
      ['', 'None', 'bridge:', 'container:', 'ns:', 'ns:run', 'ns:/a\0b', 'cni:../a', 1, null, { kind: 'none' }],
    ],
    [
      checkPublish,
      [[], [{ hostPort: 1, port: 65_535 }], [{ hostAddress: '127.0.0.1', hostPort: 53, port: 53, protocol: 'udp' }]],
      [
        {},
        '8080:80',
        [null],
        [{ hostPort: 1 }],
        [{ hostPort: 0, port: 1 }],
        [{ hostPort: 1, port: 65_536 }],
        [{ hostPort: '1', port: 1 }],
        [{ hostPort: 1.5, port: 1 }],
        [{ hostPort: 1, port: 1, protocol: 'sctp' }],
        [{ hostPort: 1, port: 1, hostAddress: '::1' }],
        [{ hostPort: 1, port: 1, hostAddress: '127.0.0.01' }],
        [{ hostPort: 1, port: 1, address: '127.0.0.1' }],
      ],
    ],
  ];
  for (const [check, good, bad] of rows) {
    for (const value of good) t.equal(check(value), undefined, JSON.stringify(value));
    for (const value of bad) t.type(check(value), 'string', JSON.stringify(value));
  }
  t.end();
});

t.test('toOverlay() and toNetwork() make what the operations take', (t) => {
  t.strictSame(toOverlay(true), { lowers: [] });
  t.strictSame(toOverlay({ directory: '/a', lower: ['/b'] }), { directory: '/a', lowers: ['/b'] });
  t.strictSame(toNetwork('call', { network: undefined, publish: undefined }), {});
  t.strictSame(toNetwork('call', { network: 'ns:/a', publish: [] }), { network: { kind: 'namespace', path: '/a' } });
  const publish = [
    { hostAddress: '0.0.0.0', hostPort: 1, port: 2 },
    { hostAddress: '127.0.0.1', hostPort: 3, port: 4, protocol: 'udp' },
  ] as const;
  t.strictSame(toNetwork('call', { network: 'bridge', publish }), {
    network: {
      kind: 'bridge',
      publish: [
        { hostPort: 1, port: 2, protocol: 'tcp' },
        { hostAddress: '127.0.0.1', hostPort: 3, port: 4, protocol: 'udp' },
      ],
    },
  });
  for (const network of [undefined, 'host'] as const)
    t.throws(() => toNetwork('call', { network, publish }), {
      name: 'TypeError',
      message: 'call: "publish" is given without "network" of "bridge" or "cni:NAME"',
    });
  t.end();
});
