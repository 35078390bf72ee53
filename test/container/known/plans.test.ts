import t from 'tap';
import { KnownPlans } from '../../../src/container/known/plans.ts';
import { planContainer, type ContainerInput } from '../../../src/plan/choose-container.ts';
import { descriptorNumbers } from '../../../src/plan/base/context.ts';
import type { CreatePlan } from '../../../src/plan/create.ts';
import { encode } from '../../../src/program/encode.ts';
import type { Packet } from '../../../src/program/step.ts';
import { inputOf, minimalConfig, printPlan, SCENARIOS, type Scenario } from '../../plan/bundles.ts';

const MINIMAL: Scenario = { name: 'minimal', host: 'hybrid-no-sys-resource', config: minimalConfig };

function inputFor(scenario: Scenario): ContainerInput {
  return { ...inputOf(scenario), cgroupManager: 'cgroupfs', rootless: false, writableCgroups: [] };
}

/** Long enough for what is made in turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What has met the input twice. */
async function knowing(input: ContainerInput, ids = ['id-1', 'id-2']): Promise<KnownPlans> {
  const plans = new KnownPlans();
  for (const id of ids) plans.plan({ ...input, id });
  await turns();
  return plans;
}

function isKept({ phases }: CreatePlan): boolean {
  return phases.every(({ program }) => program.encoded !== undefined);
}

function packetsOf({ host, options }: ContainerInput, { phases }: CreatePlan): Packet[][] {
  const { sync } = descriptorNumbers(options.preserveFds);
  return phases.map(({ program }) => encode(program, { arch: host.arch, syncFd: sync }));
}

const shown = (packets: readonly (readonly Packet[])[]): unknown =>
  packets.map((all) => all.map(({ bytes, steps, payload }) => [Buffer.from(bytes).toString('latin1'), steps, payload]));

/** All of a plan, but what its steps are about. */
function printAll(plan: CreatePlan): string {
  const phases = plan.phases.map(({ program: { name, replies, steps }, exchange }) => ({
    exchange,
    program: { name, replies, steps },
  }));
  return printPlan({ ...plan, phases });
}

let kept = 0;
for (const scenario of SCENARIOS) {
  t.test(`a known plan of ${scenario.name} on ${scenario.host} is that of its id`, async (t) => {
    const input = inputFor(scenario);
    const plans = await knowing(input);
    const third = { ...input, id: 'my-3' };
    const found = plans.plan(third);
    const wanted = planContainer(third);
    if (isKept(found)) {
      kept += 1;
      const encoded = found.phases.map(({ program }) => program.encoded?.packets ?? []);
      t.strictSame(shown(encoded), shown(packetsOf(third, wanted)), 'the same bytes');
    }
    t.equal(printAll(found), printAll(wanted), 'the same steps, for whoever looks');
    t.strictSame(found.cgroup, wanted.cgroup);
    t.strictSame(found.intelRdt, wanted.intelRdt);
    const { seccomp, hooks } = { seccomp: input.seccomp, hooks: input.config.hooks };
    if (seccomp === undefined && hooks === undefined) t.ok(isKept(found), 'nothing keeps it from being known');
  });
}

t.test('most plans can be known', (t) => {
  t.ok(kept > SCENARIOS.length / 2, `${kept} of ${SCENARIOS.length}`);
  t.end();
});

t.test('a plan is known by all that it is made from', async (t) => {
  const input = inputFor(MINIMAL);
  const plans = await knowing(input);
  const other = (changes: Partial<ContainerInput>): boolean => isKept(plans.plan({ ...input, id: 'id-3', ...changes }));
  t.equal(other({}), true);
  t.equal(other({ id: 'longer' }), false, 'an id of another length');
  t.equal(other({ config: { ...input.config } }), false, 'another configuration');
  t.equal(other({ bundle: { ...input.bundle, rootfs: '/elsewhere' } }), false, 'another rootfs');
  t.equal(other({ options: { ...input.options, noPivot: true } }), false, 'another option');
  t.equal(other({ options: { ...input.options, openFiles: { soft: 5n, hard: 6n } } }), false, 'other limits');
  t.equal(other({ host: { ...input.host, arch: 'arm64' } }), false, 'another machine');
  t.equal(other({ cgroupManager: 'disabled' }), false, 'another manager');
});

t.test('a filter that has changed is not the known one', async (t) => {
  const scenario = SCENARIOS.find((one) => {
    const { seccomp, config } = inputOf(one);
    return seccomp !== undefined && config.hooks === undefined;
  });
  if (scenario === undefined) throw new Error('no scenario with a filter');
  const input = inputFor(scenario);
  const { seccomp } = input;
  if (seccomp === undefined) throw new Error('no filter');
  const plans = await knowing(input);
  t.equal(isKept(plans.plan({ ...input, id: 'id-3' })), true);
  const changed = { ...seccomp, program: seccomp.program.map((byte) => byte + 1) };
  t.equal(isKept(plans.plan({ ...input, id: 'id-3', seccomp: changed })), false);
});

t.test('what fails to be planned fails each time', async (t) => {
  const input = inputFor({ ...MINIMAL, options: {} });
  const broken = { ...input, config: { ...input.config, linux: { ...input.config.linux, cgroupsPath: '../../x' } } };
  const plans = new KnownPlans();
  const attempt = (id: string): string => {
    try {
      plans.plan({ ...broken, id });
      return 'planned';
    } catch (error) {
      return String(error);
    }
  };
  const wanted = attempt('id-1');
  for (const id of ['id-2', 'id-3', 'id-4']) {
    t.equal(attempt(id), wanted);
    await turns();
  }
});

t.test('an id that the template was made of letters of', async (t) => {
  const input = inputFor(MINIMAL);
  for (const ids of [
    ['aaaa', 'bbbb', 'cccc'],
    ['abca', 'cabc', 'aaaa'],
    ['a', 'b', 'c'],
  ] as const) {
    const plans = await knowing(input, ids.slice(0, 2));
    const third = { ...input, id: ids[2] };
    const found = plans.plan(third);
    t.equal(isKept(found), true, ids.join());
    const encoded = found.phases.map(({ program }) => program.encoded?.packets ?? []);
    t.strictSame(shown(encoded), shown(packetsOf(third, planContainer(third))));
  }
});
