import t from 'tap';
import { planUpdate, type LimitUpdate } from '../../../src/plan/cgroup/update.ts';
import { planCgroupDirectories } from '../../../src/plan/cgroup/path.ts';
import type { Resources } from '../../../src/spec/generated/config.ts';
import { LAYOUTS, shorten } from './fixtures.ts';

function update(
  mode: keyof typeof LAYOUTS,
  old: Resources,
  changes: Resources,
  ociVersion = '1.0.2',
): LimitUpdate & { writes: string[] } {
  const layout = LAYOUTS[mode];
  const directories = planCgroupDirectories({ layout, cgroupsPath: '/x', id: 'x' });
  const result = planUpdate({ ociVersion, old, changes, manager: 'cgroupfs', version: layout.mode, directories });
  const writes = shorten(result.plan, result.plan.limits).filter((write) => !write.includes('+'));
  return { ...result, writes };
}

const MIB = 1024 * 1024;

t.test('planUpdate() writes what changes, and keeps the rest', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB, swap: 128 * MIB }, pids: { limit: 10 }, cpu: { shares: 512 } };
  const { writes, resources } = update('v1', old, { pids: { limit: 20 }, cpu: { cpus: '0-1' } });
  t.strictSame(writes, ['cpuset/cpuset.cpus=0-1', 'pids/pids.max=20']);
  t.strictSame(resources, { ...old, pids: { limit: 20 }, cpu: { shares: 512, cpus: '0-1' } });
  t.strictSame(update('v2', old, {}).writes, []);
  t.strictSame(update('v2', old, { pids: {}, cpu: {}, memory: {} }).resources, old);
  t.end();
});

t.test('planUpdate() leaves what is 0 or empty in a document', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB }, cpu: { quota: 5000, cpus: '1' }, pids: { limit: 3 } };
  const changes: Resources = {
    memory: { limit: 0, swap: 0, reservation: 0, kernel: 0, kernelTCP: 0 },
    cpu: { shares: 0, quota: 0, period: 0, realtimePeriod: 0, realtimeRuntime: 0, cpus: '', mems: '' },
    blockIO: { weight: 0 },
  };
  for (const mode of ['v1', 'hybrid', 'v2'] as const) {
    const { writes, resources, warnings } = update(mode, old, changes);
    t.strictSame(writes, [], mode);
    t.match(resources, old);
    t.strictSame(warnings, []);
  }
  t.end();
});

t.test('planUpdate() reads a pids limit of 0 as the version of the config has it', (t) => {
  const old: Resources = { pids: { limit: 3 } };
  const changes: Resources = { pids: { limit: 0 } };
  const since = update('v2', old, changes, '1.3.0');
  t.strictSame([since.writes, since.resources.pids], [['pids.max=1'], { limit: 0 }]);
  const before = update('v2', old, changes, '1.2.0');
  t.strictSame([before.writes, before.resources.pids], [['pids.max=max'], { limit: -1 }]);
  t.strictSame(update('v2', old, { pids: {} }, '1.3.0').writes, [], 'absent');
  t.end();
});

t.test('planUpdate() never touches device rules', (t) => {
  const old: Resources = { devices: [{ allow: false }] };
  const { writes, resources, plan } = update('v1', old, { devices: [{ allow: true, access: 'rwm' }] });
  t.strictSame(writes, []);
  t.strictSame(resources, old);
  t.notOk('devices' in plan);
  t.end();
});

t.test('planUpdate() keeps quota and period together', (t) => {
  const old: Resources = { cpu: { quota: 50_000, period: 200_000, shares: 7 } };
  t.strictSame(update('v2', old, { cpu: { quota: 20_000 } }).writes, ['cpu.max=20000 200000']);
  t.strictSame(update('v2', old, { cpu: { period: 10_000 } }).writes, ['cpu.max=50000 10000']);
  t.strictSame(update('v2', old, { cpu: { quota: -1 } }).writes, ['cpu.max=max 200000']);
  t.strictSame(update('v1', old, { cpu: { quota: 20_000 } }).writes, [
    'cpu,cpuacct/cpu.cfs_period_us=200000!EINVAL',
    'cpu,cpuacct/cpu.cfs_quota_us=20000!EINVAL',
  ]);
  t.strictSame(update('v2', {}, { cpu: { period: 10_000 } }).writes, ['cpu.max=max 10000']);
  t.end();
});

t.test('planUpdate() sets burst, idle and real-time bandwidth', (t) => {
  const cpu = { burst: 0, idle: 0, realtimePeriod: 1_000_000, realtimeRuntime: 5000 };
  t.strictSame(update('v1', {}, { cpu }).writes, [
    'cpu,cpuacct/cpu.rt_period_us=1000000!EINVAL',
    'cpu,cpuacct/cpu.rt_runtime_us=5000',
    'cpu,cpuacct/cpu.idle=0',
    'cpu,cpuacct/cpu.cfs_burst_us=0?ENOENT!EINVAL',
  ]);
  t.strictSame(update('v2', {}, { cpu: { burst: 10, idle: 1 } }).writes, ['cpu.idle=1', 'cpu.max.burst=10!EINVAL']);
  t.throws(() => update('v2', {}, { cpu }), { code: 'unsupported', issues: [{ pointer: /realtimePeriod$/ }, {}] });
  t.end();
});

t.test('planUpdate() changes memory and swap as config.json counts them', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB, swap: 96 * MIB } };
  t.strictSame(update('v1', old, { memory: { limit: 32 * MIB, swap: 48 * MIB } }).writes, [
    `memory/memory.limit_in_bytes=${32 * MIB}!EINVAL`,
    `memory/memory.memsw.limit_in_bytes=${48 * MIB}`,
  ]);
  t.strictSame(update('v2', old, { memory: { limit: 32 * MIB, swap: 48 * MIB } }).writes, [
    `memory.swap.max=${16 * MIB}`,
    `memory.max=${32 * MIB}`,
  ]);
  const swapOnly = update('v2', old, { memory: { swap: 80 * MIB } });
  t.strictSame(swapOnly.writes, [`memory.swap.max=${16 * MIB}`, `memory.max=${64 * MIB}`]);
  t.strictSame(swapOnly.resources, { memory: { limit: 64 * MIB, swap: 80 * MIB } });
  t.strictSame(update('v2', {}, { memory: { swap: -1, reservation: MIB } }).writes, [
    'memory.swap.max=max?ENOENT',
    `memory.low=${MIB}`,
  ]);
  t.end();
});

t.test('planUpdate() leaves swap alone where the kernel counts it apart', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB, swap: 96 * MIB } };
  const v2 = update('v2', old, { memory: { limit: 128 * MIB } });
  t.strictSame(v2.writes, [`memory.max=${128 * MIB}`]);
  t.strictSame(v2.resources, { memory: { limit: 128 * MIB, swap: 160 * MIB } }, 'the same 32 MiB of swap');
  const v1 = update('v1', old, { memory: { limit: 80 * MIB } });
  t.strictSame(v1.writes, [`memory/memory.limit_in_bytes=${80 * MIB}!EINVAL`]);
  t.strictSame(v1.resources, { memory: { limit: 80 * MIB, swap: 96 * MIB } });
  const huge = update('v2', { memory: { limit: 1, swap: 2n ** 62n } }, { memory: { limit: 2 } });
  t.strictSame(huge.resources.memory, { limit: 2, swap: 2n ** 62n + 1n });
  t.end();
});

t.test('planUpdate() saves limit and swap as they are given together', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB, swap: 128 * MIB } };
  const memory = { limit: 32 * MIB, swap: 48 * MIB };
  for (const mode of ['v1', 'v2'] as const) t.strictSame(update(mode, old, { memory }).resources.memory, memory, mode);
  t.end();
});

t.test('planUpdate() takes unlimited memory for unlimited swap too', (t) => {
  const old: Resources = { memory: { limit: 64 * MIB, swap: 96 * MIB } };
  for (const changes of [{ limit: -1 }, { limit: -1, swap: 0 }]) {
    const v1 = update('v1', old, { memory: changes });
    t.strictSame(v1.writes, ['memory/memory.limit_in_bytes=-1!EINVAL', 'memory/memory.memsw.limit_in_bytes=-1?ENOENT']);
    t.strictSame(v1.resources, { memory: { limit: -1, swap: -1 } });
    t.strictSame(update('v2', old, { memory: changes }).writes, ['memory.swap.max=max?ENOENT', 'memory.max=max']);
  }
  t.end();
});

t.test('planUpdate() compares a new limit with the usage, if told so now or before', (t) => {
  const check = `memory.current<${MIB}`;
  const saved: Resources = { memory: { checkBeforeUpdate: true, limit: 2 * MIB } };
  t.strictSame(update('v2', saved, { memory: { limit: MIB } }).writes, [check, `memory.max=${MIB}`]);
  t.strictSame(update('v2', {}, { memory: { limit: MIB, checkBeforeUpdate: true } }).writes[0], check);
  t.strictSame(update('v2', saved, { memory: { limit: MIB, checkBeforeUpdate: false } }).writes, [`memory.max=${MIB}`]);
  t.strictSame(update('v2', saved, { memory: { swap: 3 * MIB } }).writes, [
    `memory.swap.max=${MIB}`,
    `memory.max=${2 * MIB}`,
  ]);
  t.end();
});

t.test('planUpdate() replaces entries of lists by their key', (t) => {
  const old: Resources = {
    blockIO: {
      weight: 100,
      throttleReadBpsDevice: [
        { major: 8, minor: 0, rate: 1000 },
        { major: 8, minor: 16, rate: 2000 },
      ],
    },
    hugepageLimits: [{ pageSize: '2MB', limit: 1 }],
    network: { classID: 7, priorities: [{ name: 'lo', priority: 1 }] },
    rdma: { mlx0: { hcaHandles: 1 } },
  };
  const changes: Resources = {
    blockIO: {
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 0 }],
      weightDevice: [{ major: 8, minor: 0, weight: 20 }],
    },
    hugepageLimits: [
      { pageSize: '2MB', limit: 2 },
      { pageSize: '1GB', limit: 3 },
    ],
    network: { priorities: [{ name: 'eth0', priority: 2 }] },
    rdma: { mlx0: { hcaObjects: 5 } },
  };
  const { writes, resources } = update('v1', old, changes);
  t.strictSame(writes, [
    'blkio/blkio.weight_device=8:0 20 | blkio.bfq.weight_device=8:0 20',
    'blkio/blkio.throttle.read_bps_device=8:0 0',
    'hugetlb/hugetlb.2MB.limit_in_bytes=2',
    'hugetlb/hugetlb.2MB.rsvd.limit_in_bytes=2?ENOENT',
    'hugetlb/hugetlb.1GB.limit_in_bytes=3',
    'hugetlb/hugetlb.1GB.rsvd.limit_in_bytes=3?ENOENT',
    'rdma/rdma.max=mlx0 hca_object=5',
    'net_cls,net_prio/net_prio.ifpriomap=eth0 2',
  ]);
  t.strictSame(resources, {
    blockIO: {
      weight: 100,
      throttleReadBpsDevice: [
        { major: 8, minor: 16, rate: 2000 },
        { major: 8, minor: 0, rate: 0 },
      ],
      weightDevice: [{ major: 8, minor: 0, weight: 20 }],
    },
    hugepageLimits: changes.hugepageLimits,
    network: {
      classID: 7,
      priorities: [
        { name: 'lo', priority: 1 },
        { name: 'eth0', priority: 2 },
      ],
    },
    rdma: { mlx0: { hcaObjects: 5 } },
  });
  t.end();
});

t.test('planUpdate() writes unified files on cgroup v2 only', (t) => {
  const changes: Resources = { unified: { 'memory.high': '5' } };
  const { writes, resources } = update('v2', { unified: { 'memory.low': '1' } }, changes);
  t.strictSame(writes, ['memory.high=5']);
  t.strictSame(resources, { unified: { 'memory.low': '1', 'memory.high': '5' } });
  t.throws(() => update('hybrid', {}, changes), { code: 'unsupported', message: /needs cgroup v2 alone/ });
  t.end();
});

t.test('planUpdate() says what it ignores', (t) => {
  const { warnings, resources } = update('v2', {}, { memory: { kernel: 5, kernelTCP: 6 } });
  t.strictSame(warnings, [
    'update: memory.kernel is obsolete and ignored',
    'update: memory.kernelTCP is obsolete and ignored',
  ]);
  t.strictSame(resources, { memory: {} });
  t.end();
});
