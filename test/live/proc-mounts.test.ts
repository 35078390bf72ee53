import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, live } from './support/rig.ts';
import { add, bind, makeTree } from './support/mounts.ts';

live('mounts on /proc', async (t, rig) => {
  const tree = makeTree(rig);

  await t.test('nothing but a proc is bound on it', async (t) => {
    for (const destination of ['/proc', '/proc/.', '//proc/']) {
      const result = await rig.run({ change: add(bind(tree, destination)) });
      expectFailure(t, result, { message: /cannot be mounted because it is not of type proc/ });
    }
    const inUserNamespace = await rig.run({
      change: (config) => {
        setUserNamespace(config);
        config.mounts[0] = bind(tree, '/proc');
      },
    });
    expectFailure(t, inUserNamespace, { message: /cannot be mounted because it is not of type proc/ });
  });

  await t.test('a proc is', async (t) => {
    const replaced = await rig.output(t, {
      args: 'cat /proc/1/comm',
      change: (config) => {
        config.mounts[0] = bind('/proc', '/proc', 'rbind');
        config.linux.maskedPaths = [];
        config.linux.readonlyPaths = [];
      },
    });
    t.not(replaced, 'sh', "the host's");
  });

  await t.test('a symlink of the image does not lead a mount there', async (t) => {
    for (const [link, to] of [
      ['volume', 'proc'],
      ['volume', '/proc/sys'],
      ['volume', '../../proc/self/attr'],
    ] as const) {
      const fill = (rootfs: string): void => {
        symlinkSync(to, path.join(rootfs, link));
      };
      for (const mount of [bind(tree, '/volume'), { destination: '/volume', type: 'tmpfs', source: 'tmpfs' }]) {
        const result = await rig.run({ fill, change: add(mount) });
        expectFailure(t, result, { message: /"\/volume\\?" cannot be mounted because it is inside \/proc/ });
      }
    }
  });

  await t.test('the files that others may show are covered', async (t) => {
    const args = 'cat /proc/uptime /proc/loadavg';
    const change = add(bind(`${tree}/file`, '/proc/uptime'), bind(`${tree}/file`, '/proc/loadavg'));
    t.equal(await rig.output(t, { args, change }), 'contentcontent');
  });

  await t.test('proc and sysfs are mounted on ordinary directories', async (t) => {
    const fills: readonly ((place: string) => void)[] = [
      (place) => {
        symlinkSync('/tmp', place);
      },
      (place) => {
        writeFileSync(place, '');
      },
    ];
    for (const [type, index] of [
      ['proc', 0],
      ['sysfs', 5],
    ] as const) {
      for (const fill of fills) {
        const result = await rig.run({
          fill: (rootfs) => {
            rmSync(path.join(rootfs, 'special'), { recursive: true, force: true });
            fill(path.join(rootfs, 'special'));
          },
          change: add({ destination: '/special', type, source: type }),
        });
        const message = new RegExp(`filesystem ."${type}." must be mounted on ordinary directory`);
        expectFailure(t, result, { message });
        t.match(result.stderr, /\/mounts\/7/, `${index}`);
      }
    }
  });
});

live('sysfs in a user namespace with the network of the host', async (t, rig) => {
  await t.test("the host's stands in for a read-only one", async (t) => {
    const output = await rig.output(t, {
      args: 'ls -d /sys/class; touch /sys/fs/x 2>&1; awk \'$5 ~ "^/sys" && $6 !~ "^ro" { print }\' /proc/self/mountinfo',
      change: (config) => {
        setUserNamespace(config);
        config.linux.namespaces = config.linux.namespaces?.filter(({ type }) => type !== 'network') ?? [];
        config.mounts = config.mounts.filter(({ type }) => type !== 'cgroup');
      },
    });
    t.match(output, /^\/sys\/class\ntouch: .*Read-only file system$/, 'with nothing below that can be written to');
  });

  await t.test('and not for a writable one', async (t) => {
    const result = await rig.run({
      change: (config) => {
        setUserNamespace(config);
        config.linux.namespaces = config.linux.namespaces?.filter(({ type }) => type !== 'network') ?? [];
        for (const mount of config.mounts) if (mount.type === 'sysfs') mount.options = ['nosuid'];
      },
    });
    expectFailure(t, result, { message: /mount ."sysfs." on ."\/sys.": operation not permitted: EPERM/ });
  });

  await t.test('the cgroups of the container are mounted in it', async (t) => {
    const output = await rig.output(t, {
      args: 'ls /sys/fs/cgroup | wc -l',
      change: (config) => {
        setUserNamespace(config);
        config.linux.namespaces = config.linux.namespaces?.filter(({ type }) => type !== 'network') ?? [];
      },
    });
    t.match(output, /^[1-9]/);
  });
});
