import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, live } from './support/rig.ts';

import { bind } from './support/mounts.ts';

live('devices', async (t, rig) => {
  const NODES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

  await t.test('the default ones and the links', async (t) => {
    const output = await rig.output(t, {
      args: `cd /dev; stat -c "%n %F %t:%T %a %u:%g" ${NODES.join(' ')}; for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done; ls /dev | tr '\\n' ' '`,
    });
    const lines = output.split('\n');
    t.strictSame(lines.slice(0, 6), [
      'null character special file 1:3 666 0:0',
      'zero character special file 1:5 666 0:0',
      'full character special file 1:7 666 0:0',
      'random character special file 1:8 666 0:0',
      'urandom character special file 1:9 666 0:0',
      'tty character special file 5:0 666 0:0',
    ]);
    t.strictSame(lines.slice(6, 11), [
      'fd /proc/self/fd',
      'stdin /proc/self/fd/0',
      'stdout /proc/self/fd/1',
      'stderr /proc/self/fd/2',
      'ptmx pts/ptmx',
    ]);
  });

  await t.test('linux.devices: kinds, modes, owners', async (t) => {
    const output = await rig.output(t, {
      args: 'stat -c "%n %F %t:%T %a %u:%g" /dev/c /dev/u /dev/b /dev/sub/p /elsewhere/c',
      change: (config) => {
        config.linux.devices = [
          { path: '/dev/c', type: 'c', major: 10, minor: 229, fileMode: 0o640, uid: 7, gid: 8 },
          { path: '/dev/u', type: 'u', major: 4, minor: 300 },
          { path: '/dev/b', type: 'b', major: 7, minor: 257, fileMode: 0o600, uid: 1 },
          { path: '/dev/sub/p', type: 'p', fileMode: 0o622 },
          { path: '/elsewhere/c', type: 'c', major: 1, minor: 3, fileMode: 0o444 },
        ];
      },
    });
    t.strictSame(output.split('\n'), [
      '/dev/c character special file a:e5 640 7:8',
      '/dev/u character special file 4:12c 666 0:0',
      '/dev/b block special file 7:101 600 1:0',
      '/dev/sub/p fifo 0:0 622 0:0',
      '/elsewhere/c character special file 1:3 444 0:0',
    ]);
  });

  await t.test('a file of another kind in the way is refused', async (t) => {
    const result = await rig.run({
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'device'), '');
      },
      change: (config) => (config.linux.devices = [{ path: '/device', type: 'c', major: 1, minor: 3 }]),
    });
    expectFailure(t, result, { message: /linux\/devices\/0/ });
  });

  await t.test('/dev/core leads to the memory of the kernel, where there is such a file', async (t) => {
    const output = await rig.output(t, { args: 'readlink /dev/core || echo none' });
    t.equal(output, existsSync('/proc/kcore') ? '/proc/kcore' : 'none');
  });

  await t.test('in a user namespace a device is found by its numbers, whatever its name', async (t) => {
    const before = statSync('/dev/zero');
    const output = await rig.output(t, {
      args: 'stat -c "%n %F %t:%T" /dev/own /dev/sub/other; head -c 3 /dev/own | wc -c; grep -E " /dev/(own|null) " /proc/self/mountinfo | cut -d" " -f6',
      change: (config) => {
        setUserNamespace(config);
        config.linux.devices = [
          { path: '/dev/own', type: 'c', major: 1, minor: 5, fileMode: 0o666 },
          { path: '/dev/sub/other', type: 'c', major: 1, minor: 3, fileMode: 0o600, uid: 7 },
        ];
      },
    });
    const [first, second, count, ...flags] = output.split('\n');
    t.strictSame(
      [first, second, count],
      ['/dev/own character special file 1:5', '/dev/sub/other character special file 1:3', '3'],
    );
    t.equal(flags.length, 2);
    for (const line of flags) t.match(line, /nosuid,.*noexec/, 'mounted without set-uid and executables');
    const { mode, uid, gid } = statSync('/dev/zero');
    t.strictSame([mode, uid, gid], [before.mode, before.uid, before.gid], 'the node of the host is as it was');
  });

  await t.test('in a user namespace a device that the host has not is refused', async (t) => {
    for (const [type, path] of [
      ['c', '/dev/null'],
      ['b', '/dev/null'],
    ] as const) {
      const result = await rig.run({
        change: (config) => {
          setUserNamespace(config);
          config.linux.devices = [{ path, type, major: 240, minor: 4000 }];
        },
      });
      expectFailure(t, result, {
        message: new RegExp(
          `the host has no device .*${type} 240:4000.* below .*/dev.*linux/devices/0|linux/devices/0.*the host has no device .*${type} 240:4000`,
        ),
      });
    }
  });

  await t.test("in a user namespace they are the host's", async (t) => {
    const output = await rig.output(t, {
      args: `cd /dev; stat -c "%n %t:%T %a" ${NODES.join(' ')}; echo gone >/dev/null && head -c 3 /dev/zero | wc -c; readlink ptmx`,
      change: (config) => {
        setUserNamespace(config);
      },
    });
    t.strictSame(output.split('\n'), [
      'null 1:3 666',
      'zero 1:5 666',
      'full 1:7 666',
      'random 1:8 666',
      'urandom 1:9 666',
      'tty 5:0 666',
      '3',
      'pts/ptmx',
    ]);
  });

  await t.test('a /dev that is bound is left as it is', async (t) => {
    const own = rig.fresh('dev');
    mkdirSync(own);
    writeFileSync(path.join(own, 'only'), '');
    const output = await rig.output(t, {
      args: 'ls /dev',
      change: (config) => {
        config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
        config.mounts.push(bind(own, '/dev', 'rbind'));
        // Nothing to mask files with.
        config.linux.maskedPaths = [];
      },
    });
    t.equal(output, 'only');
  });
});
