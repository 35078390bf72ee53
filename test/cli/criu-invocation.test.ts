import t from 'tap';
import { messageOf, runLine } from './fixtures.ts';

t.test('checkpoint and restore take what runc takes', async (t) => {
  const image = { imagePath: '/work/i', workPath: '/work/w' };
  const rows: [line: string, call: object][] = [
    ['checkpoint web', ['checkpointContainer', {}, { id: 'web', imagePath: '/work/checkpoint', preDump: false }]],
    [
      'checkpoint --image-path i --work-path=w --leave-running --tcp-established --ext-unix-sk --shell-job web',
      [
        'checkpointContainer',
        {},
        { ...image, leaveRunning: true, tcpEstablished: true, extUnixSk: true, shellJob: true },
      ],
    ],
    [
      'checkpoint --lazy-pages --page-server [::1]:27 --status-fd 5 --file-locks --pre-dump --parent-path ../p web',
      [
        'checkpointContainer',
        {},
        { pageServer: { address: '::1', port: 27 }, statusFd: 5, fileLocks: true, preDump: true, parentPath: '../p' },
      ],
    ],
    [
      'checkpoint --manage-cgroups-mode full --empty-ns network --auto-dedup --link-remap --tcp-skip-in-flight web',
      [
        'checkpointContainer',
        {},
        { manageCgroupsMode: 'full', autoDedup: true, linkRemap: true, tcpSkipInFlight: true },
      ],
    ],
    [
      'restore --bundle b --pid-file p --detach --image-path i --work-path w -no-subreaper --no-pivot web',
      ['restoreContainer', {}, { ...image, bundle: '/work/b', pidFile: '/work/p', detach: true, subreaper: false }],
    ],
    [
      'restore --console-socket s --lsm-profile a:b --lsm-mount-context c --tcp-close --network-lock nftables web',
      [
        'restoreContainer',
        {},
        { consoleSocket: '/work/s', lsmProfile: 'a:b', lsmMountContext: 'c', tcpClose: true, networkLock: 'nftables' },
      ],
    ],
  ];
  for (const [line, call] of rows) t.match(await runLine(line), { code: 0, calls: [call] }, line);
});

t.test('checkpoint and restore refuse what makes no sense', async (t) => {
  const rows: [line: string, message: string | RegExp][] = [
    ['checkpoint --parent-path /p web', '--parent-path must be relative to --image-path, is "/p"'],
    ['checkpoint --page-server here web', /^invalid value "here" for option "--page-server": wanted ADDRESS:PORT$/],
    ['checkpoint --page-server a:70000 web', /wanted ADDRESS:PORT$/],
    ['checkpoint --status-fd x web', /^invalid value "x" for option "--status-fd"/],
    ['checkpoint --manage-cgroups-mode all web', /"--manage-cgroups-mode": wanted soft, full, strict, ignore$/],
    ['restore --network-lock no web', /"--network-lock": wanted iptables, nftables, skip$/],
    ['restore --empty-ns pid web', /^invalid value "pid" for option "--empty-ns": wanted network$/],
    // podman finds out by this whether the runtime restores containers of pods.
    ['restore --lsm-profile', /^flag needs an argument/],
  ];
  for (const [line, message] of rows) {
    const outcome = await runLine(line);
    t.match(outcome, { code: 1, calls: [], failure: { code: 'usage' } }, line);
    t.match(messageOf(outcome), message, line);
  }
  t.match(await runLine('checkpoint --help'), { code: 0, calls: [], stdout: /--image-path/ });
});
