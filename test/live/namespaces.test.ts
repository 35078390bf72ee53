import { readFileSync, readlinkSync } from 'node:fs';
import { removeNamespace, setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import type { NamespaceType } from '../../src/spec/generated/config.ts';

/** Type in config.json -> file below /proc/PID/ns. */
const FILES: Readonly<Record<NamespaceType, string>> = {
  cgroup: 'cgroup',
  ipc: 'ipc',
  mount: 'mnt',
  network: 'net',
  pid: 'pid',
  time: 'time',
  user: 'user',
  uts: 'uts',
};
const TYPES = Object.keys(FILES) as NamespaceType[];

function namespaceOf(pid: number | 'self', type: NamespaceType): string {
  return readlinkSync(`/proc/${pid}/ns/${FILES[type]}`);
}

function withoutRestrictedPaths(config: BaseConfig): void {
  delete config.linux.maskedPaths;
  delete config.linux.readonlyPaths;
}

live('namespaces', async (t, rig) => {
  await t.test('all eight are new when the config lists them', async (t) => {
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        for (const type of TYPES) setNamespace(config, type);
        setUserNamespace(config);
      },
    });
    for (const type of TYPES) t.not(namespaceOf(pid, type), namespaceOf('self', type), `${type} is new`);
    await rig.delete(t, id);
  });

  await t.test("each is the host's when the config does not list it", async (t) => {
    for (const absent of TYPES.filter((type) => !['user', 'cgroup', 'time'].includes(type))) {
      const { id, pid } = await rig.create(t, {
        change: (config) => {
          removeNamespace(config, absent);
          if (absent === 'uts') delete config.hostname;
          if (absent === 'mount') withoutRestrictedPaths(config);
          if (absent === 'network')
            config.mounts = config.mounts.filter(({ type }) => type !== 'sysfs' && type !== 'cgroup');
        },
      });
      for (const type of TYPES) {
        const isHosts = namespaceOf(pid, type) === namespaceOf('self', type);
        t.equal(isHosts, [absent, 'user', 'cgroup', 'time'].includes(type), `${type} without ${absent}`);
      }
      await rig.delete(t, id);
    }
  });

  await t.test('without a mount namespace the container is chrooted', async (t) => {
    const output = await rig.output(t, {
      args: 'ls /; cat /etc/passwd',
      change: (config) => {
        removeNamespace(config, 'mount');
        withoutRestrictedPaths(config);
        config.mounts = [];
      },
    });
    t.match(output, 'worker:x:1000', 'it sees its own /etc');
  });

  await t.test('without a mount namespace its mounts are there until it is deleted', async (t) => {
    const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8');
    const before = mounts();
    const change = (config: BaseConfig): void => {
      removeNamespace(config, 'mount');
      withoutRestrictedPaths(config);
      config.root = { path: 'rootfs', ...config.root, readonly: true };
    };
    const { id, pid } = await rig.sleeper(t, { change });
    t.equal(namespaceOf(pid, 'mount'), namespaceOf('self', 'mount'));
    t.not(mounts(), before, 'they are on the host');
    const script = 'test -c /dev/null && test -d /proc/self && ! mkdir /new 2>/dev/null && touch /dev/shm/file';
    expectSuccess(t, await rig.tsrun(['exec', id, 'sh', '-c', script]), 'it sees them');
    await rig.delete(t, id);
    t.equal(mounts(), before, 'and gone with it');

    expectSuccess(t, await rig.run({ args: ['true'], change }));
    t.equal(mounts(), before, 'run leaves none');
    const bad = { destination: '/bad', type: 'nonesuch', source: 'x' };
    const failing = rig.run({
      change: (config) => {
        change(config);
        config.mounts.push(bad);
      },
    });
    expectFailure(t, await failing, { message: /nonesuch|\/bad/ });
    t.equal(mounts(), before, 'nor does a failure');
  });

  await t.test('a mount over that of a container without a mount namespace is named', async (t) => {
    const { id } = await rig.sleeper(t, {
      change: (config) => {
        removeNamespace(config, 'mount');
        withoutRestrictedPaths(config);
      },
    });
    const { rootfs } = JSON.parse((await rig.tsrun(['state', id])).stdout) as { rootfs: string };
    expectSuccess(t, await rig.start(['mount', '-t', 'tmpfs', 'tmpfs', rootfs]).done, 'mount');
    try {
      const result = await rig.tsrun(['delete', '--force', id]);
      expectFailure(t, result, { message: /another mount covers the container's/ });
    } finally {
      expectSuccess(t, await rig.start(['umount', rootfs]).done, 'umount');
    }
    await rig.delete(t, id);
    t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), rootfs);
  });

  await t.test('those with a path are joined', async (t) => {
    const first = await rig.sleeper(t, {
      change: (config) => {
        for (const type of ['cgroup', 'time'] as const) setNamespace(config, type);
      },
    });
    for (const type of TYPES.filter((type) => type !== 'user' && type !== 'mount')) {
      const { id, pid } = await rig.create(t, {
        change: (config) => {
          setNamespace(config, type, { path: `/proc/${first.pid}/ns/${FILES[type]}` });
          if (type === 'uts') delete config.hostname;
        },
      });
      t.equal(namespaceOf(pid, type), namespaceOf(first.pid, type), `${type} is joined`);
      const others = TYPES.filter((other) => other !== type && !['user', 'cgroup', 'time'].includes(other));
      for (const other of others) t.not(namespaceOf(pid, other), namespaceOf(first.pid, other), `${other} is not`);
      await rig.delete(t, id);
    }
    await t.test('all of a kind at once, as in a pod', async (t) => {
      const shared = ['network', 'ipc', 'uts', 'pid'] as const;
      const output = await rig.output(t, {
        args: 'hostname; ps -o args | grep -c "[s]leep 1000"; for n in net ipc uts pid; do readlink /proc/self/ns/$n; done',
        change: (config) => {
          delete config.hostname;
          for (const type of shared) setNamespace(config, type, { path: `/proc/${first.pid}/ns/${FILES[type]}` });
        },
      });
      t.strictSame(output.split('\n'), ['tsrun-test', '1', ...shared.map((type) => namespaceOf(first.pid, type))]);
    });
    await t.test('a file of another type is refused', async (t) => {
      const bundle = {
        change: (config: Parameters<typeof setNamespace>[0]) => {
          setNamespace(config, 'network', { path: `/proc/${first.pid}/ns/ipc` });
        },
      };
      expectFailure(t, await rig.run(bundle), { message: /namespaces\/\d/ });
      const missing = {
        change: (config: Parameters<typeof setNamespace>[0]) => {
          setNamespace(config, 'network', { path: '/proc/self/ns/none' });
        },
      };
      expectFailure(t, await rig.run(missing), { message: '/proc/self/ns/none' });
    });
    await rig.delete(t, first.id);
  });

  await t.test('user: ids are mapped as the config says', async (t) => {
    const { id, pid, result } = await rig.create(t, {
      args: 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups; touch /tmp/made; stat -c %u:%g /tmp/made',
      change: (config) => {
        setNamespace(config, 'user');
        config.linux.uidMappings = [
          { containerID: 0, hostID: 100_000, size: 1000 },
          { containerID: 1000, hostID: 300_000, size: 10 },
        ];
        config.linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 2000 }];
        config.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] });
        config.process.user = { uid: 1000, gid: 7 };
        // The owner of what this rootfs holds is not mapped.
        config.mounts = config.mounts.filter(({ type }) => type !== 'cgroup');
        const pts = config.mounts.find(({ type }) => type === 'devpts');
        if (pts !== undefined) pts.options = pts.options?.filter((option) => option !== 'gid=5') ?? [];
      },
    });
    t.match(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/), [
      '0',
      '100000',
      '1000',
      '1000',
      '300000',
      '10',
    ]);
    t.equal(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1], '300000', 'on the host');
    t.equal(/^Gid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1], '200007');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await rig.waitForStatus(id, 'stopped');
    const lines = result
      .readOutput()
      .trim()
      .split('\n')
      .map((line) => line.trim().replace(/\s+/g, ' '));
    t.strictSame(lines, ['1000', '7', '0 100000 1000', '1000 300000 10', '0 200000 2000', 'allow', '1000:7'], 'inside');
    await rig.delete(t, id);
  });

  await t.test('user: an id without a mapping is refused, and so is one without any', async (t) => {
    const unmapped = await rig.run({
      change: (config) => {
        setUserNamespace(config, 100_000, 1000);
        config.process.user = { uid: 5000, gid: 0 };
      },
    });
    expectFailure(t, unmapped, { message: 'cannot set uid to unmapped user 5000 in user namespace' });
    expectFailure(
      t,
      await rig.run({
        change: (config) => {
          setNamespace(config, 'user');
        },
      }),
      { message: /\/linux.*uidMappings/ },
    );
    const without = await rig.run({
      change: (config) => (config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }]),
    });
    expectFailure(t, without, { message: /\/linux.*uidMappings/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('user and others are joined together', async (t) => {
    const first = await rig.sleeper(t, {
      change: (config) => {
        setUserNamespace(config);
      },
    });
    const types = ['user', 'network', 'ipc', 'uts', 'pid'] as const;
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        for (const type of types) setNamespace(config, type, { path: `/proc/${first.pid}/ns/${FILES[type]}` });
        delete config.hostname;
      },
    });
    for (const type of types) t.equal(namespaceOf(pid, type), namespaceOf(first.pid, type), type);
    t.not(namespaceOf(pid, 'mount'), namespaceOf(first.pid, 'mount'));
    t.equal(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1], '100000');
    t.strictSame(
      (await rig.tsrun(['exec', first.id, 'cat', '/proc/self/uid_map'])).stdout.trim().split(/\s+/),
      ['0', '100000', '65536'],
      'exec joins the user namespace as well',
    );
    await rig.delete(t, id, first.id);
  });

  await t.test("user: a namespace of the host's root is joined before it", async (t) => {
    const first = await rig.sleeper(t);
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        setUserNamespace(config);
        setNamespace(config, 'network', { path: `/proc/${first.pid}/ns/net` });
        config.mounts = config.mounts.filter(({ type }) => type !== 'sysfs' && type !== 'cgroup');
        config.linux.maskedPaths = [];
      },
    });
    t.equal(namespaceOf(pid, 'network'), namespaceOf(first.pid, 'network'));
    t.not(namespaceOf(pid, 'user'), namespaceOf('self', 'user'));
    await rig.delete(t, id, first.id);
  });

  await t.test('time: the offsets are those of the config', async (t) => {
    const change = (config: Parameters<typeof setNamespace>[0]): void => {
      setNamespace(config, 'time');
      config.linux.timeOffsets = {
        boottime: { secs: 1_000_000, nanosecs: 5 },
        monotonic: { secs: 2_000_000, nanosecs: 0 },
      };
    };
    const output = await rig.output(t, { args: 'cat /proc/uptime; cat /proc/self/timens_offsets', change });
    const [uptime = '', ...offsets] = output.split('\n');
    const own = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    t.ok(Math.abs(Number(uptime.split(' ')[0]) - own - 1_000_000) < 60, `uptime ${uptime}`);
    t.strictSame(
      offsets.map((line) => line.split(/\s+/)),
      [
        ['monotonic', '2000000', '0'],
        ['boottime', '1000000', '5'],
      ],
    );
    const without = await rig.run({
      change: (config) => (config.linux.timeOffsets = { boottime: { secs: 1, nanosecs: 0 } }),
    });
    expectFailure(t, without, { message: '/linux/timeOffsets' });
  });

  await t.test('cgroup: the container is at the root of its view', async (t) => {
    const inside = await rig.output(t, {
      args: 'cat /proc/self/cgroup',
      change: (config) => {
        setNamespace(config, 'cgroup');
      },
    });
    for (const line of inside.split('\n')) t.match(line, /:\/$/);
    t.match(
      await rig.output(t, { args: 'cat /proc/self/cgroup' }),
      rig.prefix,
      'without it, its place on the host shows',
    );
  });

  await t.test('uts: hostname and domainname', async (t) => {
    const hostname = readFileSync('/proc/sys/kernel/hostname', 'utf8');
    const output = await rig.output(t, {
      args: 'cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname',
      change: (config) => {
        config.hostname = 'a-name';
        config.domainname = 'example.org';
      },
    });
    t.equal(output, 'a-name\nexample.org');
    t.equal(readFileSync('/proc/sys/kernel/hostname', 'utf8'), hostname, 'the host keeps its own');
    expectFailure(
      t,
      await rig.run({
        change: (config) => {
          removeNamespace(config, 'uts');
        },
      }),
      { message: '/hostname' },
    );
  });

  await t.test('network: the loopback is up', async (t) => {
    const output = await rig.output(t, { args: 'ip -o addr show lo; ip -o link | wc -l' });
    t.match(output, '127.0.0.1/8');
    t.match(output, /\n1$/, 'and there is no other interface');
  });

  await t.test('pid: the program is pid 1 and sees nobody else', async (t) => {
    t.equal(await rig.output(t, { args: 'echo $$; ls /proc | grep -c "^[0-9]"' }), '1\n3', 'sh, ls and grep');
  });
});
