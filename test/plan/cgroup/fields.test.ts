import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { TsrunError, type Issue } from '../../../src/errors.ts';
import { planCgroup, type CgroupPlanInput } from '../../../src/plan/cgroup/plan.ts';
import { printCgroupPlan } from '../../../src/plan/cgroup/print.ts';
import type { Resources } from '../../../src/spec/generated/config.ts';
import { resourcesRules } from '../../../src/spec/rules/table.ts';
import { LAYOUTS } from './fixtures.ts';

/**
 * What becomes of every field of linux.resources, as text: which file or property gets which value, or why it is refused. A field
 * that the schema has and the samples lack fails. After a change that is meant, write the goldens anew and review the difference:
 *
 *     UPDATE_GOLDENS=1 npx tap run test/plan/cgroup/fields.test.ts && git diff test/plan/goldens/resources
 */
const GOLDENS = new URL('../goldens/resources/', import.meta.url);

const disk = { major: 8, minor: 16 };
const throttle = { ...disk, rate: 1_048_576 };

/** Name of a golden -> settings, each of them alone with what it needs. */
const SAMPLES: Readonly<Record<string, readonly Resources[]>> = {
  devices: [
    { devices: [{ allow: false, access: 'rwm' }] },
    { devices: [{ allow: true, type: 'c', major: 10, minor: 229, access: 'rw' }] },
  ],
  memory: [
    { memory: { limit: 67_108_864 } },
    { memory: { limit: -1 } },
    { memory: { limit: 67_108_864, swap: 100_663_296 } },
    { memory: { limit: 67_108_864, swap: -1 } },
    { memory: { swap: 100_663_296 } },
    { memory: { reservation: 33_554_432 } },
    { memory: { kernel: 16_777_216 } },
    { memory: { kernelTCP: 8_388_608 } },
    { memory: { swappiness: 10 } },
    { memory: { disableOOMKiller: true } },
    { memory: { useHierarchy: true } },
    { memory: { limit: 67_108_864, checkBeforeUpdate: true } },
  ],
  cpu: [
    { cpu: { shares: 512 } },
    { cpu: { quota: 50_000 } },
    { cpu: { quota: -1 } },
    { cpu: { period: 200_000 } },
    { cpu: { quota: 50_000, period: 200_000, burst: 10_000 } },
    { cpu: { realtimeRuntime: 9_000, realtimePeriod: 1_000_000 } },
    { cpu: { cpus: '0-1,3' } },
    { cpu: { mems: '0' } },
    { cpu: { idle: 1 } },
  ],
  pids: [{ pids: { limit: 64 } }, { pids: { limit: 0 } }, { pids: { limit: -1 } }],
  'block-io': [
    { blockIO: { weight: 500 } },
    { blockIO: { leafWeight: 300 } },
    { blockIO: { weightDevice: [{ ...disk, weight: 200 }] } },
    { blockIO: { weightDevice: [{ ...disk, leafWeight: 100 }] } },
    { blockIO: { throttleReadBpsDevice: [throttle] } },
    { blockIO: { throttleWriteBpsDevice: [throttle] } },
    { blockIO: { throttleReadIOPSDevice: [throttle] } },
    { blockIO: { throttleWriteIOPSDevice: [throttle] } },
  ],
  hugetlb: [{ hugepageLimits: [{ pageSize: '2MB', limit: 4_194_304 }] }],
  network: [{ network: { classID: 1_048_577 } }, { network: { priorities: [{ name: 'lo', priority: 5 }] } }],
  rdma: [{ rdma: { mlx5_1: { hcaHandles: 3 } } }, { rdma: { mlx5_1: { hcaObjects: 10_000 } } }],
  unified: [{ unified: { 'memory.high': '50331648' } }, { unified: { 'io.latency': '8:16 target=5' } }],
};

/** Name in the goldens -> what a plan is made for. */
const HOSTS: Readonly<Record<string, Pick<CgroupPlanInput, 'layout' | 'manager'>>> = {
  'cgroup v1': { layout: LAYOUTS.v1, manager: 'cgroupfs' },
  'cgroup v2': { layout: LAYOUTS.v2, manager: 'cgroupfs' },
  'systemd with cgroup v1': { layout: LAYOUTS.v1, manager: 'systemd' },
  'systemd with cgroup v2': { layout: LAYOUTS.v2, manager: 'systemd' },
};

function planLines(resources: Resources, host: Pick<CgroupPlanInput, 'layout' | 'manager'>): string[] {
  const cgroupsPath = host.manager === 'systemd' ? 'm.slice:p:c1' : '/c1';
  return printCgroupPlan(planCgroup({ config: { linux: { cgroupsPath, resources } }, id: 'c1', ...host }))
    .trimEnd()
    .split('\n');
}

/** What a setting adds to the plan of a container without any; all about devices, whose rules are one list. */
function describe(resources: Resources, host: Pick<CgroupPlanInput, 'layout' | 'manager'>): string[] {
  const issues = resourcesRules.flatMap(({ check }) => check({ linux: { resources } }));
  if (issues.length > 0) return refusals(issues);
  try {
    const lines = planLines(resources, host);
    const isDevices = resources.devices !== undefined;
    const from = lines.findIndex((line) => line.startsWith('devices'));
    const without = new Set(planLines({}, host));
    const own = lines.slice(0, from).filter((line) => !without.has(line) && line !== 'limits');
    return [...own, ...(isDevices ? lines.slice(from) : [])].map((line) => line.trim());
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    return refusals(error.issues);
  }
}

function refusals(issues: readonly Issue[]): string[] {
  return issues.map(({ pointer, message }) => `refused: ${pointer}: ${message}`);
}

function goldenOf(samples: readonly Resources[]): string {
  const parts = samples.map((resources) => {
    const hosts = Object.entries(HOSTS).map(([name, host]) => {
      const lines = describe(resources, host);
      return [name, ...(lines.length === 0 ? ['nothing'] : lines).map((line) => `  ${line}`)].join('\n');
    });
    return `# ${JSON.stringify(resources)}\n${hosts.join('\n')}\n`;
  });
  return parts.join('\n');
}

for (const [name, samples] of Object.entries(SAMPLES)) {
  t.test(`planCgroup() applies ${name}`, (t) => {
    const file = new URL(`${name}.txt`, GOLDENS);
    const text = goldenOf(samples);
    if (process.env.UPDATE_GOLDENS === '1') {
      mkdirSync(GOLDENS, { recursive: true });
      writeFileSync(file, text);
    }
    t.equal(text, readFileSync(file, 'utf8'));
    t.end();
  });
}

interface Schema {
  readonly $ref?: string;
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

/** Paths of the leaves of a schema; `*` stands for an index or a free name. */
function schemaLeaves(schema: Schema, definitions: Record<string, Schema>, at = ''): string[] {
  const name = schema.$ref?.startsWith('#/$defs/') === true ? schema.$ref.slice('#/$defs/'.length) : undefined;
  if (name !== undefined) return schemaLeaves(definitions[name] ?? {}, definitions, at);
  const { properties, items, additionalProperties } = schema;
  if (properties !== undefined)
    return Object.entries(properties).flatMap(([key, member]) => schemaLeaves(member, definitions, `${at}/${key}`));
  const member = items ?? additionalProperties;
  return typeof member === 'object' ? schemaLeaves(member, definitions, `${at}/*`) : [at];
}

function leaves(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return [at];
  const isFree = Array.isArray(value) || at === '/rdma' || at === '/unified';
  return Object.entries(value).flatMap(([key, member]) => leaves(member, `${at}/${isFree ? '*' : key}`));
}

t.test('the goldens have every field of linux.resources', (t) => {
  const file = new URL('../../../schemas/config-resources.schema.json', import.meta.url);
  const { $defs } = JSON.parse(readFileSync(file, 'utf8')) as { $defs: Record<string, Schema> };
  const wanted = schemaLeaves($defs['Resources'] ?? {}, $defs);
  const found = new Set(Object.values(SAMPLES).flatMap((samples) => samples.flatMap((sample) => leaves(sample))));
  t.ok(wanted.length > 40, 'the schema was read');
  t.strictSame(
    wanted.filter((leaf) => !found.has(leaf)),
    [],
  );
  t.end();
});
