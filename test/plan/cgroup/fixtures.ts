import type { CgroupLayout } from '../../../src/plan/base/cgroup-layout.ts';
import type { CgroupPlan, CgroupWrite, ValueWrite } from '../../../src/plan/cgroup/plan.ts';

const V1 = [
  'cpuset',
  'cpu,cpuacct',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'rdma',
  'net_cls,net_prio',
];

/** Every controller on v1, two pairs of them mounted together. */
export const V1_LAYOUT: CgroupLayout = {
  mode: 'v1',
  hierarchies: [
    ...V1.map((names) => ({ controllers: names.split(','), mountPoint: `/sys/fs/cgroup/${names}`, ownPath: '/own' })),
    { controllers: ['name=systemd'], mountPoint: '/sys/fs/cgroup/systemd', ownPath: '/user.slice/session-1.scope' },
  ],
};

/** v1 controllers, and hugetlb alone on the cgroup2 mount beside them. */
export const HYBRID_LAYOUT: CgroupLayout = {
  mode: 'hybrid',
  hierarchies: ['cpu', 'cpuset', 'memory', 'devices', 'freezer', 'pids', 'name=systemd'].map((name) => {
    return { controllers: [name], mountPoint: `/sys/fs/cgroup/${name.replace('name=', '')}`, ownPath: '/' };
  }),
  unified: { mountPoint: '/sys/fs/cgroup/unified', ownPath: '/', controllers: ['hugetlb'] },
};

export const V2_LAYOUT: CgroupLayout = {
  mode: 'v2',
  hierarchies: [],
  unified: {
    mountPoint: '/sys/fs/cgroup',
    ownPath: '/user.slice/session-1.scope',
    controllers: ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma'],
  },
};

export const LAYOUTS = { v1: V1_LAYOUT, hybrid: HYBRID_LAYOUT, v2: V2_LAYOUT } as const;

/** The writes of a plan in short: `pids/pids.max=64`, with `?ERRNO` for an accepted one and ` | ` before the alternative. */
export function shorten(plan: CgroupPlan, writes: readonly CgroupWrite[]): string[] {
  return writes.map((write) => {
    const directory = plan.directories[write.directory];
    const place = `${(directory?.mountPoint ?? '').replace(/^\/sys\/fs\/cgroup\/?/, '')}${write.ancestor ?? ''}`;
    const prefix = place === '' ? '' : `${place.replace(/\/$/, '')}/`;
    switch (write.kind) {
      case 'value':
        return prefix + shortenValue(write);
      case 'inherit':
        return `${prefix}${write.file}<parent`;
      case 'check':
        return `${prefix}${write.file}<${write.limit}`;
      case 'enable':
        return `${prefix}+${write.controllers.join('+')}`;
    }
  });
}

function shortenValue(write: ValueWrite): string {
  const accept = write.accept === undefined ? '' : `?${write.accept.join(',')}`;
  const again = write.again === undefined ? '' : `!${write.again.join(',')}`;
  const orElse = write.orElse === undefined ? '' : ` | ${shortenValue(write.orElse)}`;
  return `${write.file}=${write.value}${accept}${again}${orElse}`;
}
