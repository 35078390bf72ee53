import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { planCreate } from '../../src/plan/create.ts';
import { EXCHANGES } from '../../src/plan/base/exchanges.ts';
import { call } from '../../src/program/build.ts';
import { encode } from '../../src/program/encode.ts';
import { LAYOUT } from '../../src/program/layout.ts';
import type { Program } from '../../src/program/step.ts';
import { printProgram } from '../../src/program/print.ts';
import { followHandles } from '../../src/program/model/verify-handles.ts';
import { knownBehind, verify } from '../../src/program/model/verify.ts';
import type { Config } from '../../src/spec/generated/config.ts';
import { PR_SET_DUMPABLE } from '../../src/util/constants.ts';
import {
  inputOf,
  minimalConfig,
  planScenario,
  printPlan,
  runPrograms,
  SCENARIOS,
  TOKEN,
  type Scenario,
} from './bundles.ts';
import { Rehearsal, startDescriptors } from './rehearse.ts';

/**
 * The goldens are whole plans as text. After a change that is meant, write them anew and review the difference:
 *
 *     UPDATE_GOLDENS=1 npx tap run test/plan/create.test.ts && git diff test/plan/goldens
 */
const GOLDENS = new URL('goldens/', import.meta.url);

function compareWithGolden(t: Test, name: string, text: string): void {
  const file = new URL(`${name}.txt`, GOLDENS);
  if (process.env.UPDATE_GOLDENS === '1') {
    mkdirSync(GOLDENS, { recursive: true });
    writeFileSync(file, text);
  }
  t.equal(text, readFileSync(file, 'utf8'), name);
}

function programsOf(scenario: Scenario): Program[] {
  const { phases, park } = planScenario(scenario);
  return [...phases.map(({ program }) => program), park({ start: TOKEN, handles: TOKEN })];
}

for (const scenario of SCENARIOS) {
  const { name, host } = scenario;
  t.test(`planCreate() plans ${name} on ${host}`, (t) => {
    const started = runPrograms(scenario).map(printProgram);
    compareWithGolden(t, `${name}-${host}`, [printPlan(planScenario(scenario)), ...started].join('\n'));
    t.end();
  });

  t.test(`planCreate() makes programs of ${name} on ${host} that may be sent`, (t) => {
    let known: ReturnType<typeof knownBehind> = new Map();
    for (const program of programsOf(scenario)) {
      t.same(verify(program, { known }), [], program.name);
      known = knownBehind(program, known);
      const { sync } = descriptorNumbers(scenario.options?.preserveFds ?? 0);
      for (const arch of ['x86-64', 'arm64'] as const) {
        const packets = encode(program, { arch, syncFd: sync });
        t.ok(packets.length > 0, `${program.name} on ${arch}`);
        t.ok(
          packets.every(({ bytes }) => bytes.length <= LAYOUT.message.size),
          'every packet fits',
        );
        if (!program.replies) t.equal(packets.length, 1, 'what is not answered is one packet');
      }
    }
    t.end();
  });

  for (const rootfs of ['bare', 'furnished'] as const) {
    t.test(`planCreate() makes programs of ${name} on ${host} that work in a ${rootfs} rootfs`, (t) => {
      const plan = planScenario(scenario);
      const numbers = descriptorNumbers(scenario.options?.preserveFds ?? 0);
      const options = {
        arch: inputOf(scenario).host.arch,
        syncFd: numbers.sync,
        openFds: startDescriptors(numbers, plan.idmapNamespaces.length),
        rootfs,
      };
      const programs = programsOf(scenario);
      const simulations = new Rehearsal(programs, options).run();
      t.equal(simulations.length, programs.length);
      const flaws = simulations.filter(({ failure, end }) => failure !== undefined || end.state !== 'waiting');
      t.same(flaws, []);
      const tags = simulations.map(({ replies }) =>
        replies.map((reply) => new DataView(reply.buffer).getBigUint64(0, true)),
      );
      const wanted = plan.phases.map(({ exchange }) => EXCHANGES[exchange].tag as bigint);
      // The new process is silent about itself; nothing is answered once init waits for start.
      t.same(tags, [...wanted.map((tag) => (tag === EXCHANGES.pid.tag ? [] : [tag])), []]);
      t.end();
    });
  }

  t.test(`planCreate() has the process that clones for ${name} on ${host} tell the pid and end`, (t) => {
    const plan = planScenario(scenario);
    const numbers = descriptorNumbers(scenario.options?.preserveFds ?? 0);
    const openFds = startDescriptors(numbers, plan.idmapNamespaces.length);
    const programs = plan.phases.map(({ program }) => program);
    const options = {
      arch: inputOf(scenario).host.arch,
      syncFd: numbers.sync,
      openFds,
      rootfs: 'bare',
      clone: 77,
    } as const;
    const last = new Rehearsal(programs, options).run().at(-1);
    t.same(last?.end, { state: 'exited', code: 0 });
    t.same([...new BigInt64Array(last?.replies[0]?.slice().buffer ?? new ArrayBuffer(0))], [EXCHANGES.pid.tag, 77n]);
    t.end();
  });
}

t.test('verify() misses each close of a handle that a whole plan has', (t) => {
  const full = SCENARIOS.find(({ name, host }) => name === 'full' && host === 'debian-12-v2');
  if (full === undefined) throw new Error('no such scenario');
  let closes = 0;
  const passed = programsOf(full).flatMap(({ steps }) =>
    steps.filter((step, index) => {
      const [handle] = step.kind === 'call' && step.call === 'close' ? step.operands : [];
      if (typeof handle !== 'object' || handle.kind !== 'region' || handle.isScoped !== true) return false;
      closes++;
      return followHandles(steps.with(index, call('getpid', [], { label: 'forget it' }))).flaws.length === 0;
    }),
  );
  t.same(passed, []);
  t.ok(closes > 40, `${closes} closes`);
  t.end();
});

/** Labels of all steps of a plan, in order. */
function labelsOf(scenario: Scenario): string[] {
  return programsOf(scenario).flatMap(({ steps }) => steps.map(({ label }) => label));
}

t.test('planCreate() keeps the order that callers rely on', (t) => {
  const full = SCENARIOS.find(({ name, host }) => name === 'full' && host === 'debian-12-v2');
  if (full === undefined) throw new Error('no such scenario');
  const labels = labelsOf(full);
  const order = [
    'set oom_score_adj 100',
    'create user namespace',
    'become user 0 of the user namespace',
    'create time namespace',
    'create the process in new pid, mount, network, uts, ipc namespaces',
    'start a session',
    'join session keyring "_ses.c1"',
    'bring "lo" up',
    'create cgroup namespace',
    'open a private proc file system',
    'make rootfs "/bundle/rootfs" a mount',
    'mount "proc" on "/proc"',
    'wait for the hooks',
    'make the rootfs the root',
    'hand over the console',
    'make "/tmp" read-only',
    'make the root read-only',
    'set hostname "full"',
    'apply AppArmor profile "profile"',
    'set sysctl "net.ipv4.ip_forward"',
    'bind "/proc/sys"',
    'mask file "/proc/kcore"',
    'make the root rshared',
    'set umask to 0027',
    'set no_new_privs',
    'drop CAP_DAC_OVERRIDE from the bounding set',
    'keep capabilities across the change of uid',
    'set supplementary groups [3, 4]',
    'set gid to 2',
    'set uid to 1',
    'end keeping capabilities',
    'set effective, permitted and inheritable capabilities',
    'exec: "sh": look for "/usr/bin/sh"',
    'tell that it is ready',
    'wait for start',
  ];
  const places = order.map((label) => labels.lastIndexOf(label));
  t.notOk(places.includes(-1), `all are there: ${order[places.indexOf(-1)] ?? ''}`);
  t.same(
    places,
    places.toSorted((a, b) => a - b),
  );
  t.end();
});

t.test('CVE-2016-9962: planCreate() has nobody look into the process that it clones', (t) => {
  const timeOffsets = { boottime: { secs: 5 } };
  const withTime: Config = {
    ...minimalConfig,
    linux: { namespaces: [{ type: 'mount' }, { type: 'time' }], timeOffsets },
  };
  for (const scenario of [...SCENARIOS, scenarioOf(withTime)]) {
    const steps = programsOf(scenario).flatMap((program) => program.steps);
    const clone = steps.findIndex((step) => step.kind === 'call' && step.call === 'clone3');
    const before = steps.slice(0, clone);
    const settings = before.flatMap((step) =>
      step.kind === 'call' && step.call === 'prctl' && step.operands[0] === PR_SET_DUMPABLE ? [step.operands[1]] : [],
    );
    t.equal(settings.at(-1), 0, `${scenario.name} on ${scenario.host}`);
  }
  t.end();
});

t.test(
  'CVE-2024-21626: planCreate() verifies the working directory wherever it enters it, and all lookups are in front of an early filter',
  (t) => {
    for (const scenario of SCENARIOS) {
      const labels = labelsOf(scenario);
      const find = (start: string): number[] =>
        labels.flatMap((label, index) => (label.startsWith(start) ? [index] : []));
      const verified = find('exec: verify working directory');
      const name = `${scenario.name} on ${scenario.host}`;
      const [asRoot = 0, asUser = 0] = find('exec: enter working directory');
      const uid = labels.findIndex((label) => label.startsWith('set uid to'));
      // A label `skip` is between the first two; the second is followed by the check that it was entered at all.
      t.same(verified, [asRoot + 2, asRoot + 3, asUser + 2, asUser + 3], name);
      t.ok(asRoot < uid && uid < asUser, `${name}: once before the user changes, once after`);
      if (scenario.name !== 'seccomp-early') continue;
      t.ok(
        labels.findIndex((label) => label.startsWith('load the seccomp filter')) >
          labels.findLastIndex((label) => label.startsWith('exec: ') && label.includes('look for it')),
        `${name}: in front of the filter`,
      );
    }
    t.end();
  },
);

function scenarioOf(config: Config, host: Scenario['host'] = 'debian-12-v2'): Scenario {
  return { name: 'test', host, config };
}

t.test('planCreate() tells a failure of the program apart by the code of the step', (t) => {
  for (const scenario of SCENARIOS) {
    const steps = [...programsOf(scenario), ...runPrograms(scenario)].flatMap((program) => program.steps);
    const failing = steps.filter((step) => step.kind === 'call' || 'fail' in step.then);
    const other = failing.filter(({ label, code }) => label.startsWith('exec: ') !== (code === 'program'));
    t.same(
      other.map(({ label }) => label),
      [],
      `${scenario.name} on ${scenario.host}`,
    );
  }
  t.end();
});

t.test('planCreate() plans a container without a process', (t) => {
  const { process: _process, ...config } = minimalConfig;
  const plan = planScenario(scenarioOf(config));
  t.same(
    plan.phases.map(({ exchange }) => exchange),
    ['pid', 'ready'],
  );
  t.same([plan.candidates, plan.rlimits], [[], []]);
  t.notOk(plan.phases.some(({ program }) => program.steps.some(({ label }) => label.startsWith('exec: '))));
  t.end();
});

t.test('planCreate() asks for the home directory only when HOME is not given', (t) => {
  const exchanges = (env: string[]) =>
    planScenario(scenarioOf({ ...minimalConfig, process: { cwd: '/', args: ['/bin/true'], env } })).phases.map(
      ({ exchange }) => exchange,
    );
  t.same(exchanges(['HOME=/root']), ['pid', 'ready']);
  t.same(exchanges(['HOME=']), ['pid', 'passwd', 'ready']);
  t.same(exchanges([]), ['pid', 'passwd', 'ready']);
  t.end();
});

t.test('planCreate() names every bind source that is missing', (t) => {
  const config: Config = {
    ...minimalConfig,
    mounts: [
      { destination: '/a', source: '/missing/a', options: ['bind'] },
      { destination: '/b', source: '/there', options: ['bind'] },
      { destination: '/c', source: 'missing', options: ['rbind'] },
    ],
  };
  const input = inputOf(scenarioOf(config));
  const sources = { '/missing/a': 'missing', '/there': 'file', '/bundle/missing': 'missing' } as const;
  const cgroup = planScenario(scenarioOf(minimalConfig)).cgroup;
  t.throws(() => planCreate({ ...input, bundle: { ...input.bundle, sources } }, cgroup), {
    code: 'bundle',
    message: [
      'invalid bundle: 2 problems',
      '  /mounts/0/source: "/missing/a" does not exist: no such file or directory',
      '  /mounts/2/source: "/bundle/missing" does not exist: no such file or directory',
    ].join('\n'),
  });
  t.end();
});

t.test('planCreate() refuses what an old kernel cannot do', (t) => {
  const mount = (...options: string[]): Config => ({
    ...minimalConfig,
    mounts: [{ destination: '/a', source: '/srv/own', options: ['rbind', ...options] }],
    linux: {
      namespaces: [{ type: 'mount' }, { type: 'user' }],
      uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    },
  });
  t.throws(() => planScenario(scenarioOf(mount('idmap'), 'old-5.10')), {
    code: 'unsupported',
    message: 'bind "/srv/own" on "/a": map ids: idmapped mounts need Linux 5.12, found 5.10 (/mounts/0 of config.json)',
  });
  t.throws(() => planScenario(scenarioOf(mount('rro'), 'old-5.10')), {
    code: 'unsupported',
    message:
      'bind "/srv/own" on "/a": set options: recursive mount options need Linux 5.12, found 5.10 (/mounts/0/options of config.json)',
  });
  t.doesNotThrow(() => planScenario(scenarioOf(mount('ro'), 'old-5.10')));
  t.end();
});

t.test('planCreate() refuses labels of a security module that the host does not run', (t) => {
  const labelled = (changes: object): Config => ({
    ...minimalConfig,
    process: { cwd: '/', args: ['/bin/true'], ...changes },
  });
  for (const changes of [{ apparmorProfile: 'p' }, { selinuxLabel: 'u:r:t:s0' }]) {
    t.throws(() => planScenario(scenarioOf(labelled(changes), 'hybrid-no-sys-resource')), { code: 'unsupported' });
  }
  t.end();
});

t.test('planCreate() has room for a second mount of the cgroups', (t) => {
  const cgroup = (destination: string) => ({ destination, type: 'cgroup', source: 'cgroup' });
  const programs = programsOf(scenarioOf({ ...minimalConfig, mounts: [cgroup('/sys/fs/cgroup'), cgroup('/cg')] }));
  t.same(
    programs.flatMap((program) => verify(program)),
    [],
  );
  t.end();
});

t.test('planCreate() has room for a thousand mounts', (t) => {
  const tmpfs = Array.from({ length: 1000 }, (_, index) => ({ destination: `/m/${index}`, type: 'tmpfs' }));
  const binds = tmpfs.map(({ destination }) => ({ destination, source: '/srv/own', options: ['bind'] }));
  t.doesNotThrow(() => planScenario(scenarioOf({ ...minimalConfig, mounts: binds })));
  t.doesNotThrow(() => planScenario(scenarioOf({ ...minimalConfig, mounts: tmpfs })));
  t.end();
});

t.test('planCreate() does not take too many bind mounts of a user namespace for a bug', (t) => {
  const mounts = Array.from({ length: 1000 }, (_, index) => ({
    destination: `/m/${index}`,
    source: '/srv/own',
    options: ['bind'],
  }));
  const mappings = [{ containerID: 0, hostID: 1000, size: 1 }];
  const linux: Config['linux'] = {
    namespaces: [{ type: 'mount' }, { type: 'user' }],
    uidMappings: mappings,
    gidMappings: mappings,
  };
  try {
    planScenario(scenarioOf({ ...minimalConfig, mounts, linux }));
  } catch (error) {
    // Each source is open until it is mounted: a refusal is fine, an assertion is not.
    t.match(error, { name: 'TsrunError', code: 'unsupported' });
  }
  t.end();
});
