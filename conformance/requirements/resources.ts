import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Resources } from '../../src/spec/generated/config.ts';
import { put } from '../harness/bundle.ts';
import type { Case } from '../harness/case.ts';
import { equal, match, ok, skipUnless } from '../harness/check.ts';
import { cgroupOf, hasController } from '../harness/probe.ts';
import { section, Skip, type Requirement } from '../harness/requirement.ts';

/** config-linux.md, "Control groups": what is configured can be read in the cgroup, whichever version it is of. */

interface Limit {
  readonly id: string;
  readonly heading: string;
  readonly controller: string;
  readonly resources: Resources;
  /** File and its text in cgroup v1 and v2; without one the version has no such thing. */
  readonly v1?: readonly [file: string, text: string | RegExp];
  readonly v2?: readonly [file: string, text: string | RegExp];
}

const MIB = 1024 * 1024;

const LIMITS: readonly Limit[] = [
  {
    id: 'memory.limit',
    heading: 'Memory',
    controller: 'memory',
    resources: { memory: { limit: 64 * MIB } },
    v1: ['memory.limit_in_bytes', String(64 * MIB)],
    v2: ['memory.max', String(64 * MIB)],
  },
  {
    id: 'memory.reservation',
    heading: 'Memory',
    controller: 'memory',
    resources: { memory: { reservation: 32 * MIB } },
    v1: ['memory.soft_limit_in_bytes', String(32 * MIB)],
    v2: ['memory.low', String(32 * MIB)],
  },
  {
    id: 'memory.swap',
    heading: 'Memory',
    controller: 'memory',
    resources: { memory: { limit: 64 * MIB, swap: 96 * MIB } },
    v1: ['memory.memsw.limit_in_bytes', String(96 * MIB)],
    v2: ['memory.swap.max', String(32 * MIB)],
  },
  {
    id: 'memory.swappiness',
    heading: 'Memory',
    controller: 'memory',
    resources: { memory: { swappiness: 10 } },
    v1: ['memory.swappiness', '10'],
  },
  {
    id: 'memory.disable-oom-killer',
    heading: 'Memory',
    controller: 'memory',
    resources: { memory: { disableOOMKiller: true } },
    v1: ['memory.oom_control', /oom_kill_disable 1/],
  },
  {
    id: 'cpu.shares',
    heading: 'CPU',
    controller: 'cpu',
    resources: { cpu: { shares: 512 } },
    v1: ['cpu.shares', '512'],
    // The conversion of shares to weights is the runtime's choice, so long as half the default is less than the default.
    v2: ['cpu.weight', /^([1-9]|[1-9]\d)$/],
  },
  {
    id: 'cpu.quota',
    heading: 'CPU',
    controller: 'cpu',
    resources: { cpu: { quota: 20_000, period: 100_000 } },
    v1: ['cpu.cfs_quota_us', '20000'],
    v2: ['cpu.max', '20000 100000'],
  },
  {
    id: 'cpu.period',
    heading: 'CPU',
    controller: 'cpu',
    resources: { cpu: { quota: 20_000, period: 50_000 } },
    v1: ['cpu.cfs_period_us', '50000'],
    v2: ['cpu.max', '20000 50000'],
  },
  {
    id: 'cpu.idle',
    heading: 'CPU',
    controller: 'cpu',
    resources: { cpu: { idle: 1 } },
    v1: ['cpu.idle', '1'],
    v2: ['cpu.idle', '1'],
  },
  {
    id: 'cpu.cpus',
    heading: 'CPU',
    controller: 'cpuset',
    resources: { cpu: { cpus: '0' } },
    v1: ['cpuset.cpus', '0'],
    v2: ['cpuset.cpus', '0'],
  },
  {
    id: 'cpu.mems',
    heading: 'CPU',
    controller: 'cpuset',
    resources: { cpu: { mems: '0' } },
    v1: ['cpuset.mems', '0'],
    v2: ['cpuset.mems', '0'],
  },
  {
    id: 'pids.limit',
    heading: 'PIDs',
    controller: 'pids',
    resources: { pids: { limit: 77 } },
    v1: ['pids.max', '77'],
    v2: ['pids.max', '77'],
  },
  {
    id: 'blockIO.weight',
    heading: 'Block IO',
    controller: 'blkio',
    resources: { blockIO: { weight: 200 } },
    v1: ['blkio.bfq.weight', '200'],
  },
  {
    id: 'network.class-id',
    heading: 'Network',
    controller: 'net_cls',
    resources: { network: { classID: 1_048_577 } },
    v1: ['net_cls.classid', '1048577'],
  },
  {
    id: 'hugepages',
    heading: 'Huge page limits',
    controller: 'hugetlb',
    resources: { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MIB }] },
    v1: ['hugetlb.2MB.limit_in_bytes', String(4 * MIB)],
    v2: ['hugetlb.2MB.max', String(4 * MIB)],
  },
];

async function checkLimit(c: Case, { controller, resources, v1, v2 }: Limit): Promise<void> {
  skipUnless(hasController(controller), `no mounted cgroup hierarchy has the controller ${controller}`);
  const own = cgroupOf(process.pid, controller);
  const [file, wanted] = (own.version === 1 ? v1 : v2) ?? [];
  if (file === undefined || wanted === undefined) throw new Skip(`cgroup v${own.version} has no such file`);
  const container = await tryWith(c, { controller, file, resources });
  const { directory } = cgroupOf(container.pid, controller);
  ok(directory !== own.directory, 'the container has a cgroup of its own', directory);
  const found = readFileSync(path.join(directory, file), 'utf8').trim();
  if (typeof wanted === 'string') equal(found, wanted, file);
  else match(found, wanted, file);
}

/** A container with these resources; skipped where even a cgroup made by hand lacks the file. */
async function tryWith(
  c: Case,
  {
    controller,
    file,
    resources,
  }: { readonly controller: string; readonly file: string; readonly resources: Resources },
): Promise<{ readonly pid: number }> {
  const plain = await c.create();
  const { directory } = cgroupOf(plain.pid, controller);
  skipUnless(existsSync(path.join(directory, file)), `the kernel has no ${file}`);
  return c.create({ change: (config) => (config.linux.resources = resources) });
}

const limits = LIMITS.map((limit) =>
  section('config-linux.md', limit.heading).must(`cgroup.${limit.id}`, `${limit.id} is set in the cgroup`, (c) =>
    checkLimit(c, limit),
  ),
);

const paths = section('config-linux.md', 'Cgroups Path');

async function cgroupPathOf(c: Case, cgroupsPath: string): Promise<string> {
  const container = await c.create({ change: (config) => (config.linux.cgroupsPath = cgroupsPath) });
  const found = cgroupOf(container.pid, 'pids').directory;
  await container.delete('--force');
  return found;
}

const cgroupPaths: readonly Requirement[] = [
  paths.must('cgroups-path.absolute', 'an absolute cgroupsPath is one below the mount point', async (c) => {
    const own = cgroupOf(process.pid, 'pids');
    const name = `/${c.id()}/inner`;
    const container = await c.create({ change: (config) => (config.linux.cgroupsPath = name) });
    const { directory } = cgroupOf(container.pid, 'pids');
    const root = own.version === 1 ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
    equal(directory, path.join(root, name), 'the cgroup');
  }),
  ...(['absolute', 'relative'] as const).map((kind) =>
    paths.must(`cgroups-path.same.${kind}`, `the same ${kind} cgroupsPath is the same cgroup`, async (c) => {
      skipUnless(hasController('pids'), 'no mounted cgroup hierarchy has the controller pids');
      const name = `${kind === 'absolute' ? '/' : ''}${c.id()}/inner`;
      equal(await cgroupPathOf(c, name), await cgroupPathOf(c, name), 'the cgroup');
    }),
  ),
  paths.must('cgroups-path.type', 'a cgroupsPath that is no text is an error', (c) =>
    c.refuses('a number', (config) => {
      put(config.linux, { cgroupsPath: 7 });
    }),
  ),
];

const allowed = section('config-linux.md', 'Allowed Device list');
/** Nothing needs the device 1:11, /dev/kmsg, and every kernel has it. */
const TRY = 'mknod /tmp/kmsg c 1 11; dd if=/tmp/kmsg of=/dev/null count=0 2>&1 | head -n 1';

async function observeDevice(c: Case, rules: NonNullable<Resources['devices']>): Promise<string> {
  return c.observe(TRY, (config) => {
    config.process.capabilities = Object.fromEntries(
      ['bounding', 'effective', 'permitted'].map((set) => [set, ['CAP_MKNOD', 'CAP_SYSLOG', 'CAP_SYS_ADMIN']]),
    );
    config.linux.resources = { devices: rules };
  });
}

const DENY_ALL = { allow: false, access: 'rwm' };
const KMSG = { type: 'c', major: 1, minor: 11 } as const;

const deviceRules: readonly Requirement[] = [
  allowed.must('device-rule.deny', 'a device that is not allowed cannot be opened', async (c) => {
    match(
      await observeDevice(c, [DENY_ALL, { ...KMSG, allow: true, access: 'm' }]),
      /not permitted/,
      'opening /dev/kmsg',
    );
  }),
  allowed.must('device-rule.allow', 'a device that is allowed can be opened', async (c) => {
    const found = await observeDevice(c, [DENY_ALL, { ...KMSG, allow: true, access: 'rwm' }]);
    match(found, /^0\+0 records in/, 'opening /dev/kmsg');
  }),
  allowed.must('device-rule.order', 'a later rule holds against an earlier one', async (c) => {
    const rules = [
      { ...KMSG, allow: true, access: 'rwm' },
      { ...KMSG, allow: false, access: 'rw' },
    ];
    match(await observeDevice(c, [DENY_ALL, ...rules]), /not permitted/, 'opening /dev/kmsg');
  }),
];

const groups = section('config-linux.md', 'Control groups');
const unified = section('config-linux.md', 'Unified');

const general: readonly Requirement[] = [
  groups.must('cgroup.processes', 'the process of the container is in its cgroup', async (c) => {
    skipUnless(hasController('pids'), 'no mounted cgroup hierarchy has the controller pids');
    const container = await c.create({ change: (config) => (config.linux.resources = { pids: { limit: 50 } }) });
    const { directory } = cgroupOf(container.pid, 'pids');
    const pids = readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').split('\n');
    ok(pids.includes(String(container.pid)), `${container.pid} is in cgroup.procs`, pids.join());
  }),
  groups.must('cgroup.enforced', 'a limit of pids holds', async (c) => {
    skipUnless(hasController('pids'), 'no mounted cgroup hierarchy has the controller pids');
    const found = await c.observe('for i in 1 2 3 4 5 6 7 8; do sleep 1 & done 2>&1; true', (config) => {
      config.linux.resources = { pids: { limit: 4 } };
      config.process.args = ['/bin/sh', '-c', '(for i in 1 2 3 4 5 6 7 8; do sleep 1 & done) 2>&1; true'];
    });
    match(found, /fork/, 'what the shell says');
  }),
  unified.must('cgroup.unified.absent', 'a file of a controller that is not there is an error', (c) =>
    c.refuses('unified with an unknown controller', (config) => {
      config.linux.resources = { unified: { 'nonsense.max': '1' } };
    }),
  ),
  section('config-linux.md', 'Memory').must(
    'cgroup.memory.invalid',
    'a memory limit that is no number is an error',
    (c) =>
      c.refuses('a limit that is text', (config) => {
        put(config.linux, { resources: { memory: { limit: 'much' } } });
      }),
  ),
  section('config-linux.md', 'CPU').must(
    'cgroup.cpu.cpus.invalid',
    'a processor that is not there is an error',
    (c) => {
      skipUnless(hasController('cpuset'), 'no mounted cgroup hierarchy has the controller cpuset');
      return c.refuses('processor 4095', (config) => (config.linux.resources = { cpu: { cpus: '4095' } }));
    },
  ),
];

export const resourceRequirements: readonly Requirement[] = [...limits, ...cgroupPaths, ...deviceRules, ...general];
