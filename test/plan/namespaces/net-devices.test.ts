import t from 'tap';
import { planCreate } from '../../../src/plan/create.ts';
import { planNetDevices } from '../../../src/plan/namespaces/net-devices.ts';
import { printStep } from '../../../src/program/print-step.ts';
import type { Linux } from '../../../src/spec/generated/config.ts';
import { inputOf, planScenario, SCENARIOS, type Scenario } from '../bundles.ts';

const devices: NonNullable<Linux['netDevices']> = { eth0: {}, 'a/b': { name: 'lan%d' }, eth1: { name: '' } };
const [base] = SCENARIOS as [Scenario];

t.test('planNetDevices() keeps the order, and the name where none is given', (t) => {
  t.strictSame(planNetDevices({ ociVersion: '1.3.0', linux: { netDevices: devices } }), [
    { hostName: 'eth0', name: 'eth0', pointer: '/linux/netDevices/eth0' },
    { hostName: 'a/b', name: 'lan%d', pointer: '/linux/netDevices/a~1b' },
    { hostName: 'eth1', name: 'eth1', pointer: '/linux/netDevices/eth1' },
  ]);
  t.strictSame(planNetDevices({ ociVersion: '1.3.0' }), []);
  t.end();
});

t.test('planCreate() hands a netlink socket over after "lo" is up and before the mounts, only for devices', (t) => {
  const input = inputOf(base);
  const config = {
    ...input.config,
    linux: { ...input.config.linux, namespaces: [{ type: 'network' as const }], netDevices: devices },
  };
  const plan = planCreate(
    { ...input, config, host: { ...input.host, identity: { ...input.host.identity, euid: 0 } } },
    planScenario(base).cgroup,
  );
  const exchanges = plan.phases.map(({ exchange }) => exchange);
  t.equal(exchanges.indexOf('network'), exchanges.indexOf('pid') + 1);
  const lines = plan.phases.find(({ exchange }) => exchange === 'network')?.program.steps.map(printStep) ?? [];
  t.ok(
    lines.findIndex((line) => line.includes('SIOCSIFFLAGS')) <
      lines.findIndex((line) => line.includes('socket(AF_NETLINK')),
  );
  t.match(lines.slice(-2), [/^sendmsg/, /^close/]);
  t.equal(plan.netDevices.length, 3);
  t.notOk(planScenario(base).phases.some(({ exchange }) => exchange === 'network'));
  const without = { ...config, linux: { ...config.linux, namespaces: [] } };
  t.throws(() => planCreate({ ...input, config: without }, planScenario(base).cgroup), {
    code: 'bundle',
    message: /netDevices/,
  });
  const rootless = { ...input.host, identity: { ...input.host.identity, euid: 1000 } };
  t.throws(() => planCreate({ ...input, config, host: rootless }, planScenario(base).cgroup), { message: /rootless/ });
  t.end();
});
