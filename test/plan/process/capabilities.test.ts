import t from 'tap';
import { planAmbientSet, planBoundingSet, planCapabilitySets } from '../../../src/plan/process/capabilities.ts';
import type { Capabilities } from '../../../src/spec/generated/config.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

const smallKernel = { kernel: { lastCapability: 3 } };

function withCapabilities(capabilities: Capabilities) {
  return makeProcess({ capabilities });
}

t.test('without capabilities there are none', (t) => {
  const none = makeContext();
  const empty = makeContext();
  for (const plan of [planBoundingSet, planCapabilitySets, planAmbientSet]) {
    t.equal(printSteps(plan(none, makeProcess())), printSteps(plan(empty, withCapabilities({}))), plan.name);
  }
  t.equal(planBoundingSet(none, makeProcess()).length, 41);
  t.same(none.warnings, [], 'which a remark on the config says');
  t.end();
});

t.test('planBoundingSet() drops what is not in the set, up to the last capability of the kernel', (t) => {
  const context = makeContext({ host: smallKernel });
  t.equal(
    printSteps(planBoundingSet(context, withCapabilities({ bounding: ['CAP_DAC_READ_SEARCH'] }))),
    `
   0  prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0)  # drop CAP_CHOWN from the bounding set  (/process/capabilities/bounding)
   1  prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)  # drop CAP_DAC_OVERRIDE from the bounding set  (/process/capabilities/bounding)
   2  prctl(PR_CAPBSET_DROP, CAP_FOWNER, 0, 0, 0)  # drop CAP_FOWNER from the bounding set  (/process/capabilities/bounding)
`,
  );
  t.same(context.warnings, []);
  t.end();
});

t.test('planBoundingSet() drops everything when the set is missing', (t) => {
  t.equal(planBoundingSet(makeContext(), withCapabilities({})).length, 41);
  t.end();
});

t.test('planBoundingSet() drops capabilities newer than the table by number', (t) => {
  const context = makeContext({ host: { kernel: { lastCapability: 41 } } });
  t.match(planBoundingSet(context, withCapabilities({})).at(-1), { label: 'drop capability 41 from the bounding set' });
  t.end();
});

t.test('planCapabilitySets() sets three sets at once, capabilities from 32 on in the upper half', (t) => {
  const process = withCapabilities({
    effective: ['CAP_CHOWN', 'CAP_AUDIT_READ'],
    permitted: ['CAP_CHOWN', 'CAP_AUDIT_READ', 'CAP_KILL'],
  });
  const steps = planCapabilitySets(makeContext(), process);
  t.equal(
    printSteps(steps),
    `
   0  capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=CAP_CHOWN|CAP_AUDIT_READ, permitted=CAP_CHOWN|CAP_KILL|CAP_AUDIT_READ, inheritable=0})  # set effective, permitted and inheritable capabilities  (/process/capabilities)
`,
  );
  const [step] = steps;
  const [header, data] = step?.kind === 'call' ? step.operands : [];
  t.match(header, { bytes: Uint8Array.of(0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0) });
  t.match(data, {
    bytes: Uint8Array.of(1, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0),
  });
  t.end();
});

t.test('planAmbientSet() clears the set and raises each', (t) => {
  const names = ['CAP_NET_RAW', 'CAP_CHOWN', 'CAP_NET_RAW'];
  const process = withCapabilities({ bounding: names, permitted: names, inheritable: names, ambient: names });
  const context = makeContext();
  t.equal(
    printSteps(planAmbientSet(context, process)),
    `
   0  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), accepts EINVAL  # clear the ambient set  (/process/capabilities/ambient)
   1  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), accepts EINVAL EPERM  # raise CAP_CHOWN in the ambient set  (/process/capabilities/ambient)
   2  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), accepts EINVAL EPERM  # raise CAP_NET_RAW in the ambient set  (/process/capabilities/ambient)
`,
  );
  t.same(context.warnings, []);
  t.end();
});

t.test('what the kernel would refuse for want of another set is left out of its set, with one warning', (t) => {
  const context = makeContext();
  const process = withCapabilities({
    bounding: ['CAP_CHOWN', 'CAP_KILL'],
    permitted: ['CAP_CHOWN', 'CAP_SETUID'],
    effective: ['CAP_CHOWN', 'CAP_KILL'],
    inheritable: ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID'],
    ambient: ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID'],
  });
  planBoundingSet(context, process);
  const [capset] = planCapabilitySets(context, process);
  t.match(capset, {
    operands: [{}, { text: '{effective=CAP_CHOWN, permitted=CAP_CHOWN|CAP_SETUID, inheritable=CAP_CHOWN|CAP_KILL}' }],
  });
  t.same(
    planAmbientSet(context, process).map(({ label }) => label),
    ['clear the ambient set', 'raise CAP_CHOWN in the ambient set'],
  );
  t.same(context.warnings, [
    'capability "CAP_KILL" is left out of the effective set: it is not in the permitted one',
    'capability "CAP_SETUID" is left out of the inheritable set: it is not in the bounding one',
    'capabilities "CAP_KILL", "CAP_SETUID" are left out of the ambient set: they are not both permitted and inheritable',
  ]);
  t.end();
});

t.test('the last capability of the kernel can be granted, and not the one behind it', (t) => {
  const context = makeContext({ host: { kernel: { lastCapability: 7 } } });
  const process = withCapabilities({
    bounding: ['CAP_SETUID', 'CAP_SETPCAP'],
    permitted: ['CAP_SETUID', 'CAP_SETPCAP'],
  });
  t.notMatch(printSteps(planBoundingSet(context, process)), /CAP_SETUID|CAP_SETPCAP/);
  t.match(planCapabilitySets(context, process), [{ operands: [{}, { text: /permitted=CAP_SETUID,/ }] }]);
  t.same(context.warnings, ['capability "CAP_SETPCAP" is left out: this kernel does not have it']);
  t.end();
});

t.test('unknown names are warned about once for all sets, and left out', (t) => {
  const context = makeContext();
  const process = withCapabilities({ bounding: ['CAP_FOO'], permitted: ['CAP_FOO', 'chown'], ambient: ['CAP_FOO'] });
  planBoundingSet(context, process);
  const [capset] = planCapabilitySets(context, process);
  planAmbientSet(context, process);
  t.same(context.warnings, [
    'capability "CAP_FOO" is left out: its name is unknown',
    'capability "chown" is left out: its name is unknown',
  ]);
  t.match(capset, { operands: [{}, { text: '{effective=0, permitted=0, inheritable=0}' }] });
  t.end();
});

t.test('capabilities that the kernel or the runtime lacks are warned about and left out', (t) => {
  const context = makeContext({ host: { kernel: { lastCapability: 37 }, identity: { effectiveCapabilities: '1' } } });
  const process = withCapabilities({ permitted: ['CAP_CHOWN', 'CAP_BPF', 'CAP_KILL'] });
  const [capset] = planCapabilitySets(context, process);
  t.match(capset, { operands: [{}, { text: '{effective=0, permitted=CAP_CHOWN, inheritable=0}' }] });
  t.same(context.warnings, [
    'capability "CAP_BPF" is left out: this kernel does not have it',
    'capability "CAP_KILL" is left out: the runtime does not have it itself',
  ]);
  t.end();
});

t.test('in a user namespace, new or joined, every capability of the kernel can be granted', (t) => {
  for (const namespace of [{ type: 'user' as const }, { type: 'user' as const, path: '/proc/7/ns/user' }]) {
    const context = makeContext({
      config: { linux: { namespaces: [namespace] } },
      host: { identity: { effectiveCapabilities: '0' } },
    });
    const [capset] = planCapabilitySets(context, withCapabilities({ permitted: ['CAP_KILL'] }));
    t.match(capset, { operands: [{}, { text: '{effective=0, permitted=CAP_KILL, inheritable=0}' }] });
    t.same(context.warnings, []);
  }
  t.end();
});
