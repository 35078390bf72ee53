import t from 'tap';
import type { Resources } from '../../../src/spec/generated/config.ts';
import { planCgroup, type CgroupPlan } from '../../../src/plan/cgroup/plan.ts';
import { cgroupPlanToJson, printCgroupPlan } from '../../../src/plan/cgroup/print.ts';
import { HYBRID_LAYOUT, LAYOUTS, shorten, V1_LAYOUT, V2_LAYOUT } from './fixtures.ts';

type LayoutName = keyof typeof LAYOUTS;

function plan(resources: Resources, layout: LayoutName = 'v2'): CgroupPlan {
  const config = { linux: { cgroupsPath: '/c1', resources } };
  return planCgroup({ config, layout: LAYOUTS[layout], id: 'c1', manager: 'cgroupfs' });
}

/** A setting, and the limits that come of it on each layout; an array of pointers under `refused` where it cannot be applied. */
interface Golden {
  readonly resources: Resources;
  readonly v1?: readonly string[];
  readonly hybrid?: readonly string[];
  readonly v2?: readonly string[];
  readonly refused?: Partial<Record<LayoutName, readonly string[]>>;
}

const GOLDENS: Readonly<Record<string, Golden>> = {
  nothing: { resources: {}, v1: [], hybrid: [], v2: [] },
  'memory.limit': {
    resources: { memory: { limit: 4096 } },
    v1: ['memory/memory.limit_in_bytes=4096!EINVAL'],
    hybrid: ['memory/memory.limit_in_bytes=4096!EINVAL'],
    v2: ['memory.max=4096'],
  },
  'memory.limit of 64 bits': {
    resources: { memory: { limit: 9_223_372_036_854_775_807n } },
    v2: ['memory.max=9223372036854775807'],
  },
  'memory.limit 0': { resources: { memory: { limit: 0, swap: 0, reservation: 0 } }, v1: [], v2: [] },
  'memory.limit -1': {
    resources: { memory: { limit: -1 } },
    v1: ['memory/memory.limit_in_bytes=-1!EINVAL', 'memory/memory.memsw.limit_in_bytes=-1?ENOENT'],
    v2: ['memory.swap.max=max?ENOENT', 'memory.max=max'],
  },
  'memory.swap': {
    resources: { memory: { limit: 4096, swap: 12288 } },
    v1: ['memory/memory.limit_in_bytes=4096!EINVAL', 'memory/memory.memsw.limit_in_bytes=12288'],
    v2: ['memory.swap.max=8192', 'memory.max=4096'],
  },
  'memory.swap equal to the limit': {
    resources: { memory: { limit: 4096, swap: 4096 } },
    v2: ['memory.swap.max=0?ENOENT', 'memory.max=4096'],
  },
  'memory.reservation': {
    resources: { memory: { reservation: 4096 } },
    v1: ['memory/memory.soft_limit_in_bytes=4096'],
    v2: ['memory.low=4096'],
  },
  'memory.checkBeforeUpdate': {
    resources: { memory: { limit: 4096, checkBeforeUpdate: true } },
    v1: ['memory/memory.usage_in_bytes<4096', 'memory/memory.limit_in_bytes=4096!EINVAL'],
    v2: ['memory.current<4096', 'memory.max=4096'],
  },
  'memory settings of v1': {
    resources: { memory: { swappiness: 7, disableOOMKiller: true, kernelTCP: 4096, kernel: 4096, useHierarchy: true } },
    v1: [
      'memory/memory.kmem.tcp.limit_in_bytes=4096',
      'memory/memory.swappiness=7',
      'memory/memory.oom_control=1',
      'memory/memory.use_hierarchy=1',
    ],
    refused: { v2: ['swappiness', 'disableOOMKiller', 'kernelTCP'].map((name) => `/linux/resources/memory/${name}`) },
  },
  'memory settings that change nothing': {
    resources: { memory: { disableOOMKiller: false, kernel: -1, useHierarchy: true } },
    v2: [],
  },
  'cpu.shares': {
    resources: { cpu: { shares: 512 } },
    v1: ['cpu,cpuacct/cpu.shares=512'],
    hybrid: ['cpu/cpu.shares=512'],
    v2: ['cpu.weight=59'],
  },
  'cpu.quota and period': {
    resources: { cpu: { quota: 5000, period: 20000 } },
    v1: ['cpu,cpuacct/cpu.cfs_period_us=20000!EINVAL', 'cpu,cpuacct/cpu.cfs_quota_us=5000!EINVAL'],
    v2: ['cpu.max=5000 20000'],
  },
  'cpu.quota alone': { resources: { cpu: { quota: 5000 } }, v2: ['cpu.max=5000 100000'] },
  'cpu.quota -1': {
    resources: { cpu: { quota: -1 } },
    v1: ['cpu,cpuacct/cpu.cfs_quota_us=-1!EINVAL'],
    v2: ['cpu.max=max 100000'],
  },
  'cpu.period alone': { resources: { cpu: { period: 20000 } }, v2: ['cpu.max=max 20000'] },
  'cpu.burst': {
    resources: { cpu: { quota: 5000, burst: 1000 } },
    v1: ['cpu,cpuacct/cpu.cfs_burst_us=1000!EINVAL', 'cpu,cpuacct/cpu.cfs_quota_us=5000!EINVAL'],
    v2: ['cpu.max.burst=1000!EINVAL', 'cpu.max=5000 100000'],
  },
  'cpu.idle before the weight': { resources: { cpu: { idle: 1, shares: 2 } }, v2: ['cpu.idle=1', 'cpu.weight=1'] },
  'cpu.realtimeRuntime': {
    resources: { cpu: { realtimeRuntime: 9 } },
    v1: [],
    refused: { v2: ['/linux/resources/cpu/realtimeRuntime'] },
  },
  'cpu.cpus and mems': {
    resources: { cpu: { cpus: '0-1', mems: '0' } },
    v1: [],
    v2: ['cpuset.cpus=0-1', 'cpuset.mems=0'],
  },
  'pids.limit': {
    resources: { pids: { limit: 64 } },
    v1: ['pids/pids.max=64'],
    hybrid: ['pids/pids.max=64'],
    v2: ['pids.max=64'],
  },
  'pids.limit 0 (before 1.3)': { resources: { pids: { limit: 0 } }, v1: ['pids/pids.max=max'], v2: ['pids.max=max'] },
  'pids.limit -1': { resources: { pids: { limit: -1 } }, v1: ['pids/pids.max=max'], v2: ['pids.max=max'] },
  hugepageLimits: {
    resources: { hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }] },
    v1: ['hugetlb/hugetlb.2MB.limit_in_bytes=4194304', 'hugetlb/hugetlb.2MB.rsvd.limit_in_bytes=4194304?ENOENT'],
    hybrid: ['unified/hugetlb.2MB.max=4194304', 'unified/hugetlb.2MB.rsvd.max=4194304?ENOENT'],
    v2: ['hugetlb.2MB.max=4194304', 'hugetlb.2MB.rsvd.max=4194304?ENOENT'],
  },
  'blockIO.weight': {
    resources: { blockIO: { weight: 500 } },
    v1: ['blkio/blkio.weight=500 | blkio.bfq.weight=500'],
    v2: ['io.bfq.weight=500 | io.weight=4950'],
    refused: { hybrid: ['/linux/resources/blockIO/weight'] },
  },
  'blockIO.weightDevice': {
    resources: { blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 10 }] } },
    v1: ['blkio/blkio.weight_device=8:0 10 | blkio.bfq.weight_device=8:0 10'],
    v2: ['io.bfq.weight=8:0 10 | io.weight=8:0 1'],
  },
  'blockIO.leafWeight': {
    resources: { blockIO: { leafWeight: 10, weightDevice: [{ major: 8, minor: 0, leafWeight: 20 }] } },
    v1: ['blkio/blkio.leaf_weight=10', 'blkio/blkio.leaf_weight_device=8:0 20'],
    refused: { v2: ['/linux/resources/blockIO/leafWeight', '/linux/resources/blockIO/weightDevice/0/leafWeight'] },
  },
  'blockIO.throttle': {
    resources: {
      blockIO: {
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
        throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 2 }],
        throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 3 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 0 }],
      },
    },
    v1: [
      'blkio/blkio.throttle.read_bps_device=8:0 1',
      'blkio/blkio.throttle.write_bps_device=8:0 2',
      'blkio/blkio.throttle.read_iops_device=8:0 3',
      'blkio/blkio.throttle.write_iops_device=8:0 0',
    ],
    v2: ['io.max=8:0 rbps=1', 'io.max=8:0 wbps=2', 'io.max=8:0 riops=3', 'io.max=8:0 wiops=max'],
  },
  rdma: {
    resources: { rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 }, rxe3: { hcaObjects: 7 } } },
    v1: ['rdma/rdma.max=mlx5_1 hca_handle=3 hca_object=10000', 'rdma/rdma.max=rxe3 hca_object=7'],
    v2: ['rdma.max=mlx5_1 hca_handle=3 hca_object=10000', 'rdma.max=rxe3 hca_object=7'],
    refused: { hybrid: ['/linux/resources/rdma/mlx5_1', '/linux/resources/rdma/rxe3'] },
  },
  network: {
    resources: { network: { classID: 65537, priorities: [{ name: 'lo', priority: 5 }] } },
    v1: ['net_cls,net_prio/net_cls.classid=65537', 'net_cls,net_prio/net_prio.ifpriomap=lo 5'],
    refused: { v2: ['/linux/resources/network/classID', '/linux/resources/network/priorities/0'] },
  },
  unified: {
    resources: { memory: { limit: 4096 }, unified: { 'memory.high': '2048', 'cgroup.max.depth': '2' } },
    v2: ['memory.max=4096', 'memory.high=2048', 'cgroup.max.depth=2'],
    refused: { v1: ['/linux/resources/unified'], hybrid: ['/linux/resources/unified'] },
  },
  'unified of a controller that is absent': {
    resources: { unified: { 'misc.max': 'x 1' } },
    refused: { v2: ['/linux/resources/unified/misc.max'] },
  },
};

for (const [name, golden] of Object.entries(GOLDENS)) {
  t.test(`planCgroup() applies ${name}`, (t) => {
    for (const layout of ['v1', 'hybrid', 'v2'] as const) {
      const wanted = golden[layout];
      if (wanted !== undefined) {
        const planned = plan(golden.resources, layout);
        t.strictSame(shorten(planned, planned.limits), wanted, `limits on ${layout}`);
      }
      const refused = golden.refused?.[layout];
      if (refused === undefined) continue;
      try {
        plan(golden.resources, layout);
        t.fail(`refused on ${layout}`);
      } catch (error) {
        t.match(error, { name: 'TsrunError', code: /^(config|unsupported)$/ });
        t.strictSame(
          (error as { issues: { pointer: string }[] }).issues.map(({ pointer }) => pointer),
          refused,
          `refused on ${layout}`,
        );
      }
    }
    t.end();
  });
}

t.test('planCgroup() hands cpusets down on v1 before anyone joins, the wishes last', (t) => {
  const config = {
    linux: { cgroupsPath: '/a/c1', resources: { cpu: { cpus: '0', realtimePeriod: 1000, realtimeRuntime: 9 } } },
  };
  const planned = planCgroup({ config, layout: V1_LAYOUT, id: 'c1', manager: 'cgroupfs' });
  t.strictSame(shorten(planned, planned.prepare), [
    'cpuset/a/cpuset.cpus<parent',
    'cpuset/a/cpuset.mems<parent',
    'cpuset/cpuset.cpus<parent',
    'cpuset/cpuset.mems<parent',
    'cpuset/cpuset.cpus=0',
    'cpu,cpuacct/cpu.rt_period_us=1000!EINVAL',
    'cpu,cpuacct/cpu.rt_runtime_us=9',
  ]);
  t.end();
});

t.test('planCgroup() passes every controller on on v2, and on hybrid only what a limit needs', (t) => {
  const all = '+cpuset+cpu+io+memory+hugetlb+pids+rdma';
  const config = { linux: { cgroupsPath: '/a/c1', resources: { hugepageLimits: [{ pageSize: '2MB', limit: 1 }] } } };
  const v2 = planCgroup({ config, layout: V2_LAYOUT, id: 'c1', manager: 'cgroupfs' });
  t.strictSame(shorten(v2, v2.prepare), [`/${all}`, `/a/${all}`]);
  t.match(v2.prepare[0], { required: { hugetlb: '/linux/resources/hugepageLimits/0' } });
  const hybrid = planCgroup({ config, layout: HYBRID_LAYOUT, id: 'c1', manager: 'cgroupfs' });
  t.strictSame(shorten(hybrid, hybrid.prepare).slice(0, 2), ['unified/+hugetlb', 'unified/a/+hugetlb']);
  const none = plan({}, 'hybrid');
  t.notOk(
    none.prepare.some(({ kind }) => kind === 'enable'),
    'nothing is enabled without need',
  );
  t.end();
});

t.test('planCgroup() says which controller is missing, all of them at once', (t) => {
  const layout = {
    ...HYBRID_LAYOUT,
    hierarchies: HYBRID_LAYOUT.hierarchies.filter(({ controllers }) => controllers[0] === 'devices'),
  };
  const resources = { memory: { limit: 4096 }, pids: { limit: 3 }, cpu: { cpus: '0' } };
  t.throws(() => planCgroup({ config: { linux: { resources } }, layout, id: 'c1', manager: 'cgroupfs' }), {
    code: 'unsupported',
    issues: [
      {
        pointer: '/linux/resources/cpu/cpus',
        message: 'needs the cgroup controller "cpuset", which this machine does not have',
      },
      { pointer: '/linux/resources/memory/limit' },
      { pointer: '/linux/resources/pids/limit' },
    ],
  });
  const unlimited = { memory: { limit: -1 }, pids: { limit: -1 } };
  t.doesNotThrow(() =>
    planCgroup({ config: { linux: { resources: unlimited } }, layout, id: 'c1', manager: 'cgroupfs' }),
  );
  t.end();
});

t.test('planCgroup() makes a plan of nothing when disabled, and refuses a machine without cgroups', (t) => {
  const layout = { mode: 'none', hierarchies: [] } as const;
  const disabled = planCgroup({ config: {}, layout, id: 'c1', manager: 'disabled' });
  t.match(disabled, { version: 'none', directories: [], limits: [] });
  t.equal(printCgroupPlan(disabled), 'cgroup: none\n');
  t.throws(() => planCgroup({ config: {}, layout, id: 'c1', manager: 'cgroupfs' }), { code: 'unsupported' });
  t.end();
});

t.test('printCgroupPlan() shows a plan line by line', (t) => {
  const text = printCgroupPlan(
    plan({ memory: { limit: 4096, swap: 4096, checkBeforeUpdate: true }, blockIO: { weight: 10 } }),
  );
  t.equal(
    text.slice(0, text.indexOf('devices:')),
    `cgroup v2
  make "/sys/fs/cgroup/c1"
before joining
  enable cpuset cpu io memory hugetlb pids rdma in "/sys/fs/cgroup/cgroup.subtree_control"
limits
  refuse unless "/sys/fs/cgroup/c1/memory.current" is below 4096  (/linux/resources/memory/limit)
  write "0" to "/sys/fs/cgroup/c1/memory.swap.max" unless ENOENT  (/linux/resources/memory/swap)
  write "4096" to "/sys/fs/cgroup/c1/memory.max"  (/linux/resources/memory/limit)
  write "10" to "/sys/fs/cgroup/c1/io.bfq.weight" or "1" to "/sys/fs/cgroup/c1/io.weight"  (/linux/resources/blockIO/weight)
`,
  );
  t.match(text, /devices: eBPF program on "\/sys\/fs\/cgroup\/c1"\n +0: r2 = /);
  t.match(printCgroupPlan(plan({}, 'v1')), /devices\n {2}write "a" to "\/sys\/fs\/cgroup\/devices\/c1\/devices.deny"/);
  t.end();
});

t.test('cgroupPlanToJson() is plain JSON', (t) => {
  for (const layout of ['v1', 'hybrid', 'v2'] as const) {
    const json = cgroupPlanToJson(plan({ memory: { limit: 4096 } }, layout));
    t.strictSame(JSON.parse(JSON.stringify(json)), json, layout);
  }
  t.end();
});

t.test('planCgroup() has a pids limit of 0 from version 1.3 of the specification on, and none before', (t) => {
  const limitOf = (ociVersion: string | undefined, layout: LayoutName, limit = 0): string[] => {
    const config = { ...(ociVersion !== undefined && { ociVersion }), linux: { resources: { pids: { limit } } } };
    const planned = planCgroup({ config, layout: LAYOUTS[layout], id: 'c1', manager: 'cgroupfs' });
    return shorten(planned, planned.limits);
  };
  for (const version of ['1.3.0', '1.3', '1.3.0-rc.1', '1.4.0', '1.10.0'])
    t.strictSame(limitOf(version, 'v2'), ['pids.max=1'], version);
  for (const version of [undefined, '1.0', '1.0.2-dev', '1.2.1', '0.9.0'])
    t.strictSame(limitOf(version, 'v1'), ['pids/pids.max=max'], String(version));
  t.strictSame(limitOf('1.0.2', 'v2', 5), ['pids.max=5']);
  t.end();
});

t.test('planCgroup() has the controllers of unified settings passed on', (t) => {
  const { prepare } = plan({ unified: { 'memory.high': '2048', 'pids.max': '5', 'cgroup.max.depth': '2' } });
  const required = { memory: '/linux/resources/unified/memory.high', pids: '/linux/resources/unified/pids.max' };
  for (const write of prepare) t.strictSame(write.kind === 'enable' && write.required, required, write.label);
  t.ok(prepare.length > 0);
  const both = plan({ memory: { limit: 4096 }, unified: { 'memory.high': '2048' } });
  t.match(both.prepare[0], { required: { memory: '/linux/resources/memory/limit' } }, 'the first that asks');
  t.end();
});
