import t from 'tap';
import { joinPlaces } from '../../../../src/plan/namespaces/join-cgroups.ts';
import { planCgroup, type CgroupPlan, type UnitProperty } from '../../../../src/plan/cgroup/plan.ts';
import { cgroupPlanToJson, printCgroupPlan } from '../../../../src/plan/cgroup/print.ts';
import type { Resources } from '../../../../src/spec/generated/config.ts';
import { LAYOUTS } from '../fixtures.ts';

type LayoutName = keyof typeof LAYOUTS;
const MAX = '18446744073709551615';

function plan(resources: Resources, layout: LayoutName = 'v2', annotations: Record<string, string> = {}): CgroupPlan {
  const config = { linux: { cgroupsPath: 'm.slice:p:c1', resources }, annotations };
  return planCgroup({ config, layout: LAYOUTS[layout], id: 'c1', manager: 'systemd' });
}

const show = ({ name, value, since }: UnitProperty): string => {
  const text = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
  return `${name}=${text.replaceAll('"', '')}${since === undefined ? '' : ` since ${since}`}`;
};
/** What the resources add to the properties of a unit without any. */
function limitsOf(resources: Resources, layout: LayoutName): string[] {
  const shown = (from: Resources): string[] => {
    const { properties = [], limits = [] } = plan(from, layout).scope ?? {};
    return [...properties, ...limits].map(show);
  };
  const without = shown({});
  return shown(resources).filter((line) => !without.includes(line));
}

/** A setting, and the properties that it becomes with cgroup v2 and with v1. */
const GOLDENS: Readonly<Record<string, { resources: Resources; v2: string[]; v1: string[] }>> = {
  nothing: { resources: {}, v2: [], v1: [] },
  'memory.limit': { resources: { memory: { limit: 4096 } }, v2: ['MemoryMax=4096'], v1: ['MemoryLimit=4096'] },
  'memory.limit -1': {
    resources: { memory: { limit: -1 } },
    v2: [`MemoryMax=${MAX}`, `MemorySwapMax=${MAX}`],
    v1: [`MemoryLimit=${MAX}`],
  },
  'memory.swap': {
    resources: { memory: { limit: 4096, swap: 12288 } },
    v2: ['MemoryMax=4096', 'MemorySwapMax=8192'],
    v1: ['MemoryLimit=4096'],
  },
  'memory.reservation': { resources: { memory: { reservation: 4096 } }, v2: ['MemoryLow=4096'], v1: [] },
  'cpu.shares': { resources: { cpu: { shares: 1024 } }, v2: ['CPUWeight=100'], v1: ['CPUShares=1024'] },
  'cpu.idle': { resources: { cpu: { idle: 1 } }, v2: ['CPUWeight=0 since 252'], v1: [] },
  'cpu.quota': {
    resources: { cpu: { quota: 50_000, period: 100_000 } },
    v2: ['CPUQuotaPeriodUSec=100000 since 242', 'CPUQuotaPerSecUSec=500000'],
    v1: ['CPUQuotaPeriodUSec=100000 since 242', 'CPUQuotaPerSecUSec=500000'],
  },
  'cpu.quota in odd parts, rounded up': {
    resources: { cpu: { quota: 12_345 } },
    v2: ['CPUQuotaPerSecUSec=130000'],
    v1: ['CPUQuotaPerSecUSec=130000'],
  },
  'cpu.quota -1': {
    resources: { cpu: { quota: -1 } },
    v2: [`CPUQuotaPerSecUSec=${MAX}`],
    v1: [`CPUQuotaPerSecUSec=${MAX}`],
  },
  'cpu.cpus and mems': {
    resources: { cpu: { cpus: '0-1,9', mems: '0' } },
    v2: ['AllowedCPUs=[3,2] since 244', 'AllowedMemoryNodes=[1] since 244'],
    v1: [],
  },
  'pids.limit': { resources: { pids: { limit: 64 } }, v2: ['TasksMax=64'], v1: ['TasksMax=64'] },
  'pids.limit 0 (before 1.3)': {
    resources: { pids: { limit: 0 } },
    v2: [`TasksMax=${MAX}`],
    v1: [`TasksMax=${MAX}`],
  },
  'pids.limit -1': { resources: { pids: { limit: -1 } }, v2: [`TasksMax=${MAX}`], v1: [`TasksMax=${MAX}`] },
  'blockIO.weight': { resources: { blockIO: { weight: 500 } }, v2: ['IOWeight=4950'], v1: ['BlockIOWeight=500'] },
};

for (const [name, { resources, v1, v2 }] of Object.entries(GOLDENS)) {
  t.test(`planCgroup() has systemd hold ${name}`, (t) => {
    t.strictSame(limitsOf(resources, 'v2'), v2);
    t.strictSame(limitsOf(resources, 'v1'), v1);
    t.end();
  });
}

t.test('planCgroup() tells systemd about unified settings that it knows', (t) => {
  const unified = {
    'memory.high': '4096',
    'memory.min': 'max',
    'cpu.max': '50000 100000',
    'cpu.weight': '7',
    'cpuset.cpus': '1',
    'memory.oom.group': '1',
    'pids.max': 'max',
    'io.latency': '8:0 target=5',
    'memory.low': 'nonsense',
    'cpu.idle': '1',
  };
  t.strictSame(limitsOf({ unified }, 'v2'), [
    `MemoryMin=${MAX}`,
    'CPUQuotaPeriodUSec=100000 since 242',
    'CPUQuotaPerSecUSec=500000',
    'CPUWeight=7',
    'AllowedCPUs=[2] since 244',
    'OOMPolicy=kill since 253',
    'CPUWeight=0 since 252',
    'MemoryHigh=4096',
    `TasksMax=${MAX}`,
  ]);
  t.end();
});

t.test('planCgroup() asks for a delegated scope with the devices that the rules allow', (t) => {
  const rules = [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c' as const, major: 10, minor: 229, access: 'rw' },
    { allow: true, type: 'b' as const, major: 8, access: 'r' },
    { allow: true, type: 'c' as const, minor: 3, access: 'r' },
  ];
  const shown = (plan({ devices: rules }).scope?.properties ?? []).map(show);
  t.strictSame(shown.slice(0, 8), [
    'Description=tsrun container c1',
    'Slice=m.slice',
    'Delegate=true',
    'DefaultDependencies=false',
    'CPUAccounting=true',
    'MemoryAccounting=true',
    'TasksAccounting=true',
    'IOAccounting=true',
  ]);
  t.equal(shown[8], 'DevicePolicy=strict');
  t.match(
    shown[9],
    /^DeviceAllow=\[\[\/dev\/char\/10:229,rw\],\[block-8,r\],\[char-\*,r\],\[char-\*,m\],\[block-\*,m\],/,
  );
  const all = plan({ devices: [{ allow: true, access: 'rwm' }] }).scope?.properties ?? [];
  t.ok(all.map(show).includes('DevicePolicy=auto'));
  t.notOk(all.some(({ name }) => name === 'DeviceAllow'));
  t.end();
});

t.test('planCgroup() makes properties of annotations, and says which are none', (t) => {
  const prefix = 'org.systemd.property.';
  const good = { [`${prefix}TimeoutStopSec`]: '1.5', [`${prefix}CollectMode`]: "'inactive'", other: 'x' };
  const properties = plan({}, 'v2', good).scope?.properties ?? [];
  t.strictSame(properties.slice(-2), [
    { name: 'TimeoutStopUSec', signature: 't', value: 1_500_000n },
    { name: 'CollectMode', signature: 's', value: 'inactive' },
  ]);
  const bad = {
    [`${prefix}X`]: '1',
    [`${prefix}Some-Thing`]: '1',
    [`${prefix}Foo`]: 'foo',
    [`${prefix}FooSec`]: "'a'",
  };
  const issues = Object.keys(bad).map((key) => ({ pointer: `/annotations/${key}` }));
  t.throws(() => plan({}, 'v2', bad), { code: 'config', issues });
  t.throws(() => plan({ cpu: { cpus: 'x' } }), { code: 'config', issues: [{ pointer: '/linux/resources/cpu/cpus' }] });
  t.end();
});

t.test('planCgroup() leaves to systemd what it keeps, and joins the rest itself', (t) => {
  t.strictSame(joinPlaces(plan({})), []);
  const places = joinPlaces(plan({}, 'v1')).map(({ hostPath }) => hostPath);
  t.ok(places.includes('/sys/fs/cgroup/memory/m.slice/p-c1.scope'));
  t.notOk(places.some((path) => path.startsWith('/sys/fs/cgroup/systemd')));
  t.end();
});

t.test('planCgroup() does not touch the cgroups above a user', (t) => {
  const input = { config: {}, layout: LAYOUTS.v2, id: 'c1', manager: 'systemd' } as const;
  t.ok(planCgroup(input).prepare.some(({ kind }) => kind === 'enable'));
  const user = planCgroup({ ...input, systemd: { bus: 'user', uid: 1000 } });
  t.notOk(user.prepare.some(({ kind }) => kind === 'enable'));
  t.match(user.scope, { bus: 'user', unit: 'tsrun-c1.scope' });
  t.end();
});

t.test('the plan of a unit can be printed and written as JSON', (t) => {
  const printed = printCgroupPlan(plan({ pids: { limit: -1 } }));
  t.match(printed, /start p-c1\.scope by the system manager of systemd\n/);
  t.match(printed, /^limits\n {2}tell systemd TasksMax t "18446744073709551615"\n/m);
  const json = JSON.parse(JSON.stringify(cgroupPlanToJson(plan({ pids: { limit: 5 } })))) as object;
  t.match(json, {
    scope: {
      unit: 'p-c1.scope',
      limits: [{ name: 'TasksMax', value: '5' }],
    },
  });
  t.end();
});

t.test('planCgroup() tells systemd of a pids limit of 0 as 1, which it has for it', (t) => {
  const config = { ociVersion: '1.3.0', linux: { cgroupsPath: 'm.slice:p:c1', resources: { pids: { limit: 0 } } } };
  const { scope } = planCgroup({ config, layout: LAYOUTS.v2, id: 'c1', manager: 'systemd' });
  t.ok([...(scope?.properties ?? []), ...(scope?.limits ?? [])].map(show).includes('TasksMax=1'));
  t.end();
});
