import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { Resources } from '../../src/spec/generated/config.ts';
import {
  cgroupLayout,
  cgroupsOf,
  cpuTimeUs,
  hasController,
  isUnified,
  keyedNumber,
  readCgroup,
  withEmptyCgroups,
} from './support/cgroups.ts';
import { expectFailure, expectSuccess, live, type BundleOptions, type Rig } from './support/rig.ts';
import { testUser } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

const MIB = 1024 * 1024;

/** A setting, and where the kernel shows it: controller, control file, text that is expected or that a line of it is expected to be. */
interface Shown {
  readonly controller: string;
  readonly file: string;
  readonly wanted: string | RegExp;
}

/** A block device that can be throttled: a whole disk, not a partition. */
const disk = readFileSync('/proc/partitions', 'utf8')
  .split('\n')
  .map((line) => line.trim().split(/\s+/))
  .filter(([, , , name = '']) => /^(vd|sd|xvd|nvme|mmcblk)/.test(name))
  .map(([major, minor, , name]) => ({ major: Number(major), minor: Number(minor), name: name ?? '' }))
  .at(0);

/** Weights of single disks take a scheduler that knows them. */
const isWeighed =
  disk !== undefined && tryRead(`/sys/block/${disk.name}/queue/scheduler`).includes('[bfq]') ? disk : undefined;

function tryRead(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Every limit that both versions know, in one container. */
const COMMON: Resources = {
  memory: { limit: 64 * MIB, swap: 96 * MIB, reservation: 32 * MIB },
  cpu: { shares: 512, quota: 50_000, period: 200_000, burst: 10_000, cpus: '0', mems: '0' },
  pids: { limit: 17 },
};

const COMMON_V1: readonly Shown[] = [
  { controller: 'memory', file: 'memory.limit_in_bytes', wanted: String(64 * MIB) },
  { controller: 'memory', file: 'memory.memsw.limit_in_bytes', wanted: String(96 * MIB) },
  { controller: 'memory', file: 'memory.soft_limit_in_bytes', wanted: String(32 * MIB) },
  { controller: 'cpu', file: 'cpu.shares', wanted: '512' },
  { controller: 'cpu', file: 'cpu.cfs_quota_us', wanted: '50000' },
  { controller: 'cpu', file: 'cpu.cfs_period_us', wanted: '200000' },
  { controller: 'cpu', file: 'cpu.cfs_burst_us', wanted: '10000' },
  { controller: 'cpuset', file: 'cpuset.cpus', wanted: '0' },
  { controller: 'cpuset', file: 'cpuset.mems', wanted: '0' },
  { controller: 'pids', file: 'pids.max', wanted: '17' },
];

const COMMON_V2: readonly Shown[] = [
  { controller: 'memory', file: 'memory.max', wanted: String(64 * MIB) },
  // The config counts memory and swap together, the kernel swap alone.
  { controller: 'memory', file: 'memory.swap.max', wanted: String(32 * MIB) },
  { controller: 'memory', file: 'memory.low', wanted: String(32 * MIB) },
  // 1024 shares are the default weight of 100; halving them gives 59.
  { controller: 'cpu', file: 'cpu.weight', wanted: '59' },
  { controller: 'cpu', file: 'cpu.max', wanted: '50000 200000' },
  { controller: 'cpu', file: 'cpu.max.burst', wanted: '10000' },
  { controller: 'cpuset', file: 'cpuset.cpus', wanted: '0' },
  { controller: 'cpuset', file: 'cpuset.mems', wanted: '0' },
  { controller: 'pids', file: 'pids.max', wanted: '17' },
];

/** Creates a container with limits and compares what the kernel says; the container is gone afterwards. */
async function expectShown(t: Test, rig: Rig, resources: Resources, shown: readonly Shown[]): Promise<void> {
  const { id, pid } = await rig.create(t, withResources(resources));
  const directories = cgroupsOf(pid);
  for (const { controller, file, wanted } of shown) {
    const found = readCgroup(directories, controller, file);
    if (typeof wanted === 'string') t.equal(found, wanted, file);
    else t.match(found, wanted, file);
  }
  await rig.delete(t, id);
}

function withResources(resources: Resources, args: BundleOptions['args'] = ['true']): BundleOptions {
  return { args, change: (config) => (config.linux.resources = resources) };
}

/** A limit for which this machine has no controller is refused before anything is made. */
async function expectRefused(t: Test, rig: Rig, resources: Resources, message: RegExp): Promise<void> {
  expectFailure(t, await rig.run(withResources(resources)), { message });
}

live('limits, as the kernel shows them', async (t, rig) => {
  await t.test('memory, cpu, cpuset, pids', async (t) => {
    await expectShown(t, rig, COMMON, isUnified ? COMMON_V2 : COMMON_V1);
  });

  await t.test('unlimited, idle', async (t) => {
    const resources = { memory: { limit: -1, swap: -1 }, cpu: { quota: -1, idle: 1 }, pids: { limit: -1 } };
    const v2 = [
      { controller: 'memory', file: 'memory.max', wanted: 'max' },
      { controller: 'memory', file: 'memory.swap.max', wanted: 'max' },
      { controller: 'cpu', file: 'cpu.max', wanted: 'max 100000' },
      { controller: 'cpu', file: 'cpu.idle', wanted: '1' },
      { controller: 'pids', file: 'pids.max', wanted: 'max' },
    ];
    const v1 = [
      { controller: 'memory', file: 'memory.limit_in_bytes', wanted: /^9223372036854\d+$/ },
      { controller: 'memory', file: 'memory.memsw.limit_in_bytes', wanted: /^9223372036854\d+$/ },
      { controller: 'cpu', file: 'cpu.cfs_quota_us', wanted: '-1' },
      { controller: 'cpu', file: 'cpu.idle', wanted: '1' },
      { controller: 'pids', file: 'pids.max', wanted: 'max' },
    ];
    await expectShown(t, rig, resources, isUnified ? v2 : v1);
  });

  await t.test('0 processes are one, 0 bytes are no limit', async (t) => {
    const unlimited = isUnified ? 'max' : /^9223372036854\d+$/;
    await expectShown(t, rig, { pids: { limit: 0 }, memory: { limit: 0 } }, [
      { controller: 'pids', file: 'pids.max', wanted: '1' },
      { controller: 'memory', file: isUnified ? 'memory.max' : 'memory.limit_in_bytes', wanted: unlimited },
    ]);
  });

  await t.test('before version 1.3 of the specification 0 processes are no limit', async (t) => {
    for (const [ociVersion, wanted] of [
      ['1.0.2', 'max'],
      ['1.2.1', 'max'],
      ['1.3.0', '1'],
    ] as const) {
      const { id, pid } = await rig.create(t, {
        change: (config) => {
          config.ociVersion = ociVersion;
          config.linux.resources = { pids: { limit: 0 } };
        },
      });
      const shown = (): string | undefined => readCgroup(cgroupsOf(pid), 'pids', 'pids.max');
      t.equal(shown(), wanted, ociVersion);
      expectSuccess(t, await rig.tsrun(['update', '--pids-limit', '7', id]), 'update');
      t.equal(shown(), '7');
      const update = await rig.tsrun(['update', '--resources', '-', id], { stdin: '{"pids":{"limit":0}}' });
      expectSuccess(t, update, 'update with 0');
      t.equal(shown(), wanted, `update of ${ociVersion}`);
      await rig.delete(t, id);
    }
  });

  await t.test('a limit below the usage is refused when it is to be compared', async (t) => {
    const message = /compare the memory limit with the usage: the usage is \d+, wanted less than 4096/;
    await expectRefused(t, rig, { memory: { limit: 4096, checkBeforeUpdate: true } }, message);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a limit below what set-up takes ends it', async (t) => {
    // Version 1 refuses such a limit; version 2 takes it and kills until it holds.
    const message = isUnified
      ? /container init was OOM-killed \(memory limit too low\?\)/
      : /set memory\.limit: unable to set memory limit to 4096 \(current usage: \d+, peak usage: \d+\): device or resource busy: EBUSY/;
    await expectRefused(t, rig, { memory: { limit: 4096 } }, message);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('what only version 1 has', async (t) => {
    const memory = { swappiness: 10, disableOOMKiller: true, kernelTCP: 8 * MIB };
    if (isUnified) {
      await expectRefused(t, rig, { memory }, /swappiness: cgroup v2 has no such setting/);
      await expectRefused(
        t,
        rig,
        { cpu: { realtimeRuntime: 10_000 } },
        /realtimeRuntime: needs the cgroup v1 controller/,
      );
      await expectRefused(t, rig, { network: { classID: 1 } }, /classID: needs the cgroup v1 controller .*net_cls/);
      return;
    }
    await expectShown(t, rig, { memory: { useHierarchy: true } }, [
      { controller: 'memory', file: 'memory.use_hierarchy', wanted: '1' },
    ]);
    await expectShown(t, rig, { memory, cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 10_000 } }, [
      { controller: 'memory', file: 'memory.swappiness', wanted: '10' },
      { controller: 'memory', file: 'memory.oom_control', wanted: /^oom_kill_disable 1$/m },
      { controller: 'memory', file: 'memory.kmem.tcp.limit_in_bytes', wanted: String(8 * MIB) },
      { controller: 'cpu', file: 'cpu.rt_period_us', wanted: '1000000' },
      { controller: 'cpu', file: 'cpu.rt_runtime_us', wanted: '10000' },
    ]);
  });

  await t.test('net_cls and net_prio', async (t) => {
    const network = { classID: 1_048_577, priorities: [{ name: 'lo', priority: 3 }] };
    const shown = [
      { controller: 'net_cls', file: 'net_cls.classid', wanted: '1048577' },
      { controller: 'net_prio', file: 'net_prio.ifpriomap', wanted: /^lo 3$/m },
    ];
    if (hasController('net_cls') && hasController('net_prio')) await expectShown(t, rig, { network }, shown);
    else
      await expectRefused(
        t,
        rig,
        { network },
        /\/linux\/resources\/network\/(classID|priorities\/0): needs the cgroup/,
      );
  });

  await t.test('hugetlb', async (t) => {
    const resources = { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MIB }] };
    if (!hasController('hugetlb')) {
      await expectRefused(
        t,
        rig,
        resources,
        /hugepageLimits\/0: needs the cgroup controller .*hugetlb|limit huge pages of 2MB: .*ENOENT/,
      );
      return;
    }
    const isV1 = cgroupLayout.hierarchies.some(({ controllers }) => controllers.includes('hugetlb'));
    const suffix = isV1 ? 'limit_in_bytes' : 'max';
    await expectShown(t, rig, resources, [
      { controller: 'hugetlb', file: `hugetlb.2MB.${suffix}`, wanted: String(4 * MIB) },
      { controller: 'hugetlb', file: `hugetlb.2MB.rsvd.${suffix}`, wanted: String(4 * MIB) },
    ]);
    const wrong = { hugepageLimits: [{ pageSize: '3MB', limit: 0 }] };
    await expectRefused(t, rig, wrong, /limit huge pages of 3MB: .*hugetlb\.3MB.*ENOENT/);
  });

  await t.test('rdma, of a device that is not there', async (t) => {
    const resources = { rdma: { none0: { hcaHandles: 1, hcaObjects: 2 } } };
    // The kernel knows no such device: that is an error of the write, with the name of the device.
    const message = hasController('rdma')
      ? /limit RDMA device .*none0.*: .*ENODEV/
      : /rdma\/none0: needs the cgroup controller .*rdma|limit RDMA device .*none0.*: .*ENOENT/;
    await expectRefused(t, rig, resources, message);
  });

  await t.test('unified', async (t) => {
    const resources = { unified: { 'memory.high': '50331648', 'pids.max': '99', 'cpu.weight': '321' } };
    if (!isUnified) {
      await expectRefused(t, rig, resources, /\/linux\/resources\/unified: needs cgroup v2 alone/);
      return;
    }
    await expectShown(t, rig, resources, [
      { controller: 'memory', file: 'memory.high', wanted: '50331648' },
      { controller: 'pids', file: 'pids.max', wanted: '99' },
      { controller: 'cpu', file: 'cpu.weight', wanted: '321' },
    ]);
    await expectRefused(t, rig, { unified: { 'nothing.max': '1' } }, /unified.*nothing/);
  });
});

live('block devices', async (t, rig) => {
  const skip = disk === undefined ? 'this machine has no disk' : false;
  const { major = 0, minor = 0 } = disk ?? {};

  await t.test('throttles', { skip }, async (t) => {
    const blockIO = {
      throttleReadBpsDevice: [{ major, minor, rate: 1_048_576 }],
      throttleWriteBpsDevice: [{ major, minor, rate: 2_097_152 }],
      throttleReadIOPSDevice: [{ major, minor, rate: 300 }],
      throttleWriteIOPSDevice: [{ major, minor, rate: 400 }],
    };
    const line = (file: string, text: string): Shown => {
      return { controller: 'blkio', file, wanted: `${major}:${minor} ${text}` };
    };
    const v1 = [
      line('blkio.throttle.read_bps_device', '1048576'),
      line('blkio.throttle.write_bps_device', '2097152'),
      line('blkio.throttle.read_iops_device', '300'),
      line('blkio.throttle.write_iops_device', '400'),
    ];
    const v2 = [line('io.max', 'rbps=1048576 wbps=2097152 riops=300 wiops=400')];
    await expectShown(t, rig, { blockIO }, isUnified ? v2 : v1);
  });

  await t.test('weight', async (t) => {
    const { id, pid } = await rig.create(t);
    const directories = cgroupsOf(pid);
    const file = ['blkio.weight', 'blkio.bfq.weight', 'io.bfq.weight', 'io.weight'].find((name) => {
      return readCgroup(directories, 'blkio', name) !== undefined;
    });
    await rig.delete(t, id);
    const resources = { blockIO: { weight: 500 } };
    if (file === undefined) await expectRefused(t, rig, resources, /set blockIO\.weight: .*weight.*ENOENT/);
    // 10 to 1000 of the config are 1 to 10000 of io.weight.
    else {
      const wanted = file === 'io.weight' ? /^default 4950$/m : /^(default )?500$/m;
      await expectShown(t, rig, resources, [{ controller: 'blkio', file, wanted }]);
    }
  });

  await t.test('weights of a single one', { skip }, async (t) => {
    const resources = { blockIO: { weightDevice: [{ major, minor, weight: 200 }] } };
    if (isWeighed === undefined) {
      await expectRefused(t, rig, resources, /set the weight of block device \d+:\d+: .*weight.*: (ENOENT|ENOTSUP)/);
      return;
    }
    const file = isUnified ? 'io.bfq.weight' : 'blkio.bfq.weight_device';
    const wanted = new RegExp(`^${major}:${minor} 200$`, 'm');
    await expectShown(t, rig, resources, [{ controller: 'blkio', file, wanted }]);
  });

  await t.test('weights of leaves, which only old kernels have', { skip }, async (t) => {
    const message = isUnified ? /leafWeight: cgroup v2 has no leaf weight/ : /leaf_weight.*: ENOENT/;
    await expectRefused(t, rig, { blockIO: { leafWeight: 300 } }, message);
    await expectRefused(t, rig, { blockIO: { weightDevice: [{ major, minor, leafWeight: 300 }] } }, message);
  });
});

live('limits bite', async (t, rig) => {
  const hog = 'dd if=/dev/zero of=/dev/null bs=100M count=1';
  const memory = { limit: 24 * MIB, swap: 24 * MIB };

  await t.test('a program that takes too much memory is killed', async (t) => {
    const result = await rig.run(withResources({ memory }, `exec ${hog}`));
    t.equal(result.code, 137, result.stderr);
    const { id, pid } = await rig.sleeper(t, withResources({ memory }, `${hog}; echo $?; exec sleep 1000`));
    const directories = cgroupsOf(pid);
    const [file, key] = isUnified ? ['memory.events', 'oom_kill'] : ['memory.oom_control', 'oom_kill'];
    await waitFor(() => keyedNumber(readCgroup(directories, 'memory', file), key) > 0, 60_000);
    t.equal(keyedNumber(readCgroup(directories, 'memory', file), key), 1, 'the kernel counts it');
    t.equal((await rig.state(id)).status, 'running', 'the others live');
    await rig.delete(t, id);
  });

  await t.test('half a processor is half a processor', async (t) => {
    const loops = 'while :; do :; done & while :; do :; done';
    // Before whatever else runs on this machine.
    const cpu = { shares: 100_000, quota: 50_000, period: 100_000 };
    const { id, pid } = await rig.sleeper(t, withResources({ cpu }, loops));
    const directories = cgroupsOf(pid);
    const shares: number[] = [];
    // A busy machine may still give less than it may; it never gives more.
    for (let attempt = 0; attempt < 6 && !((shares.at(-1) ?? 0) > 0.45); attempt++) {
      const [wall, used] = [process.hrtime.bigint(), cpuTimeUs(directories)];
      await new Promise((resolve) => setTimeout(resolve, 2500));
      const passedUs = Number(process.hrtime.bigint() - wall) / 1000;
      shares.push((cpuTimeUs(directories) - used) / passedUs);
    }
    for (const share of shares) t.ok(share < 0.55, `at most half: ${share.toFixed(3)}`);
    t.ok((shares.at(-1) ?? 0) > 0.45, `no less than half: ${shares.map((share) => share.toFixed(3)).join(' ')}`);
    await rig.delete(t, id);
  });

  await t.test('forks end at pids.limit', async (t) => {
    const forks = '(for i in $(seq 100); do sleep 1000 & done); exec sleep 1000';
    const { id, pid, result } = await rig.sleeper(t, withResources({ pids: { limit: 20 } }, forks));
    const directories = cgroupsOf(pid);
    await waitFor(() => keyedNumber(readCgroup(directories, 'pids', 'pids.events'), 'max') > 0, 60_000);
    t.ok(Number(readCgroup(directories, 'pids', 'pids.current')) <= 20, 'no more than allowed');
    t.equal(result.code, 0);
    await rig.delete(t, id);
  });

  const noDevices = testUser === undefined ? false : 'an ordinary user cannot make devices';
  await t.test('a device is read only where the rules allow it', { skip: noDevices }, async (t) => {
    const result = await rig.run({
      args: 'head -c 1 /dev/of-memory >/dev/null; head -c 1 /dev/of-zero | wc -c; echo >/dev/of-zero; echo $?',
      change: (config) => {
        config.linux.devices = [
          { path: '/dev/of-memory', type: 'c', major: 1, minor: 11 },
          { path: '/dev/of-zero', type: 'c', major: 1, minor: 5 },
        ];
        config.linux.resources = { devices: [{ allow: false, access: 'rwm' }] };
      },
    });
    t.match(result.stderr, /of-memory: Operation not permitted/);
    t.match(result.stdout, /^1\n0\n$/m, 'one of the devices that every container has');
  });
});

live('a cgroup that is not idle', async (t, rig) => {
  const skip = rig.usesSystemd ? 'systemd makes the cgroups' : false;

  await t.test('is refused while it is frozen', { skip }, async (t) => {
    const name = `${rig.prefix}-frozen`;
    await withEmptyCgroups(name, ['freezer'], async ([directory = '']) => {
      const file = path.join(directory, isUnified ? 'cgroup.freeze' : 'freezer.state');
      writeFileSync(file, isUnified ? '1' : 'FROZEN');
      const result = await rig.run({ change: (config) => (config.linux.cgroupsPath = `/${name}`) });
      expectFailure(t, result, { message: /use cgroup .*-frozen.*: container's cgroup unexpectedly frozen/ });
      t.ok(lstatSync(directory).isDirectory(), 'it stays');
      writeFileSync(file, isUnified ? '0' : 'THAWED');
      expectSuccess(t, await rig.run({ change: (config) => (config.linux.cgroupsPath = `/${name}`) }), 'once thawed');
      t.ok(lstatSync(directory).isDirectory(), 'and is not removed by who did not make it');
    });
    t.strictSame(rig.leftovers(), []);
  });
});
