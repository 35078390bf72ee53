import t from 'tap';
import type { CgroupReferenceDirectory } from '../../src/cgroup/cgroup.ts';
import { parseNumberList } from '../../src/plan/cgroup/controllers/cpuset.ts';
import { readStats } from '../../src/cgroup/stats/stats.ts';
import { formatEvent } from '../../src/cli/event-output.ts';
import { parseNetDev } from '../../src/host/network-interfaces.ts';
import { makeFolder } from './folders.ts';

type Files = Readonly<Record<string, string>>;

/** Directories of a container, as plain folders with what the kernel would show. */
function folders(
  base: string,
  kind: 'v1' | 'v2',
  content: Readonly<Record<string, Files>>,
): CgroupReferenceDirectory[] {
  return Object.entries(content).map(([names, files]) => {
    const mountPoint = `${base}/${names.replace(',', '-')}`;
    return {
      kind,
      controllers: names.split(','),
      mountPoint,
      hostPath: makeFolder(`${mountPoint}/c`, files),
      made: [],
    };
  });
}

/** The document as `events --stats` prints it; integers too large for a number become text. */
function documentOf(directories: readonly CgroupReferenceDirectory[]): unknown {
  const data = { ...readStats({ directories }), networkInterfaces: [] };
  const line = formatEvent({ type: 'stats', id: 'c', data });
  t.match(line, /^\{"type":"stats","id":"c","data":\{.*\}\}\n$/);
  return (JSON.parse(line.replaceAll(/:(\d{17,})/g, ':"$1"')) as { data: unknown }).data;
}

function entryFiles(prefix: string, values: readonly [string, string, string, string]): Files {
  const names = ['limit_in_bytes', 'usage_in_bytes', 'max_usage_in_bytes', 'failcnt'];
  return Object.fromEntries(names.map((name, index) => [`${prefix}${name}`, `${values[index] ?? ''}\n`]));
}

const NO_FLAGS = {
  cpu_exclusive: 0,
  mem_hardwall: 0,
  mem_exclusive: 0,
  memory_migrate: 0,
  memory_spread_page: 0,
  memory_spread_slab: 0,
  memory_pressure: 0,
  sched_load_balance: 0,
  sched_relax_domain_level: 0,
};
const NO_ENTRY = { limit: 0, failcnt: 0 };

const V1: Readonly<Record<string, Files>> = {
  'cpu,cpuacct': {
    'cpuacct.usage': '18446744073709551615\n',
    'cpuacct.stat': 'user 12\nsystem 34\n',
    'cpuacct.usage_percpu': '100 200 \n',
    'cpuacct.usage_all': 'cpu user system\n0 60 40\n1 150 50\n',
    'cpu.stat': 'nr_periods 7\nnr_throttled 3\nthrottled_time 9000\n',
  },
  cpuset: {
    'cpuset.cpus': '0-2,5\n',
    'cpuset.mems': '0\n',
    'cpuset.cpu_exclusive': '1\n',
    'cpuset.sched_relax_domain_level': '-1\n',
  },
  memory: {
    ...entryFiles('memory.', ['9223372036854771712', '4096', '8192', '2']),
    ...entryFiles('memory.memsw.', ['9223372036854771712', '5000', '0', '0']),
    ...entryFiles('memory.kmem.', ['100', '0', '0', '1']),
    'memory.stat': 'rss 4\ncache 300\nhierarchical_memory_limit 9223372036854771712\n',
  },
  pids: { 'pids.current': '3\n', 'pids.max': '64\n' },
  blkio: {
    'blkio.bfq.io_serviced_recursive': 'Total 0\n',
    'blkio.throttle.io_service_bytes_recursive': '8:0 Read 4096\n8:0 Write 0\n0:7 Read 1\nTotal 4096\n',
    'blkio.throttle.io_serviced_recursive': '8:0 Read 1\nTotal 1\n',
  },
  hugetlb: {
    'hugetlb.2MB.usage_in_bytes': '2097152\n',
    'hugetlb.2MB.max_usage_in_bytes': '4194304\n',
    'hugetlb.2MB.failcnt': '5\n',
    'hugetlb.2MB.rsvd.usage_in_bytes': '0\n',
  },
};

t.test('readStats() counts on cgroup v1 as runc does', (t) => {
  t.strictSame(documentOf(folders(t.testdir(), 'v1', V1)), {
    cpu: {
      usage: {
        total: '18446744073709551615',
        percpu: [100, 200],
        percpu_kernel: [40, 50],
        percpu_user: [60, 150],
        kernel: 340_000_000,
        user: 120_000_000,
      },
      throttling: { periods: 7, throttledPeriods: 3, throttledTime: 9000 },
    },
    cpuset: { ...NO_FLAGS, cpus: [0, 1, 2, 5], mems: [0], cpu_exclusive: 1, sched_relax_domain_level: -1 },
    memory: {
      cache: 300,
      usage: { limit: '9223372036854771712', usage: 4096, max: 8192, failcnt: 2 },
      swap: { limit: '9223372036854771712', usage: 5000, failcnt: 0 },
      kernel: { limit: 100, failcnt: 1 },
      kernelTCP: NO_ENTRY,
      raw: { cache: 300, hierarchical_memory_limit: '9223372036854771712', rss: 4 },
    },
    pids: { current: 3, limit: 64 },
    blkio: {
      ioServiceBytesRecursive: [
        { major: 8, op: 'Read', value: 4096 },
        { major: 8, op: 'Write' },
        { minor: 7, op: 'Read', value: 1 },
      ],
      ioServicedRecursive: [{ major: 8, op: 'Read', value: 1 }],
    },
    hugetlb: { '2MB': { usage: 2_097_152, max: 4_194_304, failcnt: 5 } },
    intel_rdt: {},
    network_interfaces: null,
  });
  t.end();
});

t.test('readStats() takes the counters of a scheduler that counts', (t) => {
  const blkio = {
    'blkio.bfq.io_serviced_recursive': '8:0 Read 2\n',
    'blkio.bfq.io_service_bytes_recursive': '8:0 Read 9\n',
    'blkio.bfq.io_queued_recursive': '8:0 Sync 1\n',
    'blkio.bfq.io_service_time_recursive': '8:0 Sync 2\n',
    'blkio.bfq.io_wait_time_recursive': '8:0 Sync 3\n',
    'blkio.bfq.io_merged_recursive': '8:0 Sync 4\n',
    'blkio.bfq.time_recursive': '8:0 5\n',
    'blkio.bfq.sectors_recursive': '8:0 6\n',
    'blkio.throttle.io_serviced_recursive': '8:0 Read 77\n',
  };
  const sync = (value: number): object[] => [{ major: 8, op: 'Sync', value }];
  const { blkio: found } = documentOf(folders(t.testdir(), 'v1', { blkio })) as { blkio: unknown };
  t.strictSame(found, {
    ioServiceBytesRecursive: [{ major: 8, op: 'Read', value: 9 }],
    ioServicedRecursive: [{ major: 8, op: 'Read', value: 2 }],
    ioQueueRecursive: sync(1),
    ioServiceTimeRecursive: sync(2),
    ioWaitTimeRecursive: sync(3),
    ioMergedRecursive: sync(4),
    ioTimeRecursive: [{ major: 8, value: 5 }],
    sectorsRecursive: [{ major: 8, value: 6 }],
  });
  t.end();
});

const PRESSURE = 'some avg10=1.50 avg60=0.25 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n';
const PSI = {
  some: { avg10: 1.5, avg60: 0.25, avg300: 0, total: 123 },
  full: { avg10: 0, avg60: 0, avg300: 0, total: 4 },
};

const V2: Files = {
  'cpu.stat': 'usage_usec 1000\nuser_usec 600\nsystem_usec 400\nnr_periods 2\nnr_throttled 1\nthrottled_usec 50\n',
  'cpu.pressure': PRESSURE,
  'memory.stat': 'anon 10\nfile 20\n',
  'memory.current': '4096\n',
  'memory.max': '65536\n',
  'memory.peak': '8192\n',
  'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n',
  'memory.swap.current': '100\n',
  'memory.swap.max': '1000\n',
  'memory.swap.events': 'high 0\nmax 2\nfail 0\n',
  'memory.pressure': PRESSURE,
  'pids.current': '2\n',
  'pids.max': 'max\n',
  'io.stat': '8:0 rbytes=4096 wbytes=0 rios=1 wios=2 dbytes=5 dios=6 cost.usage=1\n252:0 \n',
  'io.pressure': PRESSURE,
  'hugetlb.1GB.current': '0\n',
  'hugetlb.1GB.events': 'max 4\n',
};

t.test('readStats() counts on cgroup v2 as runc does', (t) => {
  t.strictSame(documentOf(folders(t.testdir(), 'v2', { 'cpu,memory': V2 })), {
    cpu: {
      usage: { total: 1_000_000, kernel: 400_000, user: 600_000 },
      throttling: { periods: 2, throttledPeriods: 1, throttledTime: 50_000 },
      psi: PSI,
    },
    cpuset: NO_FLAGS,
    memory: {
      cache: 20,
      usage: { limit: 65_536, usage: 4096, max: 8192, failcnt: 3 },
      swap: { limit: 66_536, usage: 4196, max: 8192, failcnt: 2 },
      kernel: NO_ENTRY,
      kernelTCP: NO_ENTRY,
      raw: { anon: 10, file: 20 },
      psi: PSI,
    },
    pids: { current: 2 },
    blkio: {
      ioServiceBytesRecursive: [
        { major: 8, op: 'Read', value: 4096 },
        { major: 8, op: 'Write' },
        { major: 8, op: 'Discard', value: 5 },
      ],
      ioServicedRecursive: [
        { major: 8, op: 'Read', value: 1 },
        { major: 8, op: 'Write', value: 2 },
        { major: 8, op: 'Discard', value: 6 },
      ],
      psi: PSI,
    },
    hugetlb: { '1GB': { failcnt: 4 } },
    intel_rdt: {},
    network_interfaces: null,
  });
  t.end();
});

t.test('readStats() does without limits, pressure and swap on cgroup v2', (t) => {
  const { 'memory.swap.current': _swap, 'cpu.pressure': _cpu, ...files } = V2;
  const document = documentOf(folders(t.testdir(), 'v2', { memory: { ...files, 'memory.max': 'max\n' } })) as {
    cpu: object;
    memory: { usage: object; swap: object };
  };
  t.notOk('psi' in document.cpu);
  t.match(document.memory.usage, { limit: '18446744073709551615' });
  t.match(document.memory.swap, { limit: '18446744073709551615', usage: 4096 });
  t.end();
});

t.test('readStats() counts nothing for cgroups that are gone', (t) => {
  const controllers = ['memory', 'pids', 'blkio', 'cpu', 'hugetlb', 'cpuset'];
  for (const kind of ['v1', 'v2'] as const) {
    const document = documentOf([{ kind, controllers, mountPoint: '/n', hostPath: '/n/c', made: [] }]);
    t.match(document, { pids: {}, blkio: {}, hugetlb: {}, cpu: { usage: { kernel: 0, user: 0 } } }, kind);
  }
  t.end();
});

t.test('parseNumberList() expands ranges', (t) => {
  t.strictSame(parseNumberList('0-2,7,9-9'), [0, 1, 2, 7, 9]);
  for (const text of ['', 'x', '5-3', '99999', '1-99999']) t.strictSame(parseNumberList(text), [], text);
  t.end();
});

t.test('parseNetDev() reads every interface but lo', (t) => {
  const text =
    'Inter-|   Receive\n face |bytes\n    lo: 600 6 0 0 0 0 0 0 600 6 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n';
  const networkInterfaces = parseNetDev(text);
  const line = formatEvent({ type: 'stats', id: 'c', data: { ...readStats({ directories: [] }), networkInterfaces } });
  const shown = JSON.parse(line) as { data: { network_interfaces: unknown } };
  t.strictSame(shown.data.network_interfaces, [
    {
      Name: 'eth0',
      RxBytes: 1,
      RxPackets: 2,
      RxErrors: 3,
      RxDropped: 4,
      TxBytes: 9,
      TxPackets: 10,
      TxErrors: 11,
      TxDropped: 12,
    },
  ]);
  t.equal(formatEvent({ type: 'oom', id: 'c' }), '{"type":"oom","id":"c"}\n');
  t.end();
});
