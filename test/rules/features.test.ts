import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { HostFacts } from '../../src/plan/base/facts.ts';
import { planCgroup } from '../../src/plan/cgroup/plan.ts';
import { planCreate } from '../../src/plan/create.ts';
import { printCgroupPlan } from '../../src/plan/cgroup/print.ts';
import { planSeccomp } from '../../src/plan/seccomp/load.ts';
import { configAnnotations } from '../../src/spec/annotations.ts';
import { features } from '../../src/spec/features.ts';
import type { Config, Linux, Mount, Namespace, Seccomp } from '../../src/spec/generated/config.ts';
import { mountOptions } from '../../src/spec/mount-options.ts';
import { inputOf, minimalConfig, printPlan, readHost } from '../plan/bundles.ts';
import { LAYOUTS } from '../plan/cgroup/fixtures.ts';

/**
 * What `features` announces has an effect: a plan with it differs from the plan without it. Where that cannot be seen in a plan, the
 * live test is named that shows it.
 */

const supportedFlags = [
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
  'SECCOMP_FILTER_FLAG_TSYNC',
  'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
] as const;
const announced = features({
  version: '0',
  commit: '',
  seccomp: { libraryVersion: '2.6.0', supportedFlags: [...supportedFlags] },
});
const linux = announced.linux ?? {};

/** Announced name -> the file that shows its effect, a text in that file, and why no plan shows it. */
const SHOWN_ELSEWHERE: Readonly<Record<string, readonly [file: string, text: string, reason: string]>> = {
  [configAnnotations.hookStdout]: ['live/hooks.test.ts', 'run.oci.hooks.stdout', 'the parent opens the file'],
  [configAnnotations.hookStderr]: ['live/hooks.test.ts', 'run.oci.hooks.stderr', 'the parent opens the file'],
  [configAnnotations.criuConfig]: [
    'plan/checkpoint/requests.test.ts',
    'org.criu.config',
    'it is part of a request to CRIU, which no plan of create has',
  ],
  [configAnnotations.overlay]: ['live/layers.test.ts', 'run.tsrun.overlay', 'the parent reads it with the bundle'],
  poststart: ['live/hooks.test.ts', "'poststart'", 'the parent runs it after the last program'],
  poststop: ['live/hooks.test.ts', "'poststop'", 'the parent runs it when init is gone'],
  startContainer: ['live/hooks.test.ts', "'startContainer'", 'its programs are made at start'],
  SECCOMP_FILTER_FLAG_TSYNC: ['live/seccomp.test.ts', 'SECCOMP_FILTER_FLAG_TSYNC', 'init has one thread'],
};

/** Announced names that mean nothing to do. */
const NOTHING_TO_DO: Readonly<Record<string, string>> = {
  defaults: 'mount(8): the flags that a mount has anyway',
};

const host: HostFacts = { ...readHost('debian-12-v2'), lsm: { apparmor: true, selinux: true } };
const landlockHost: HostFacts = { ...host, kernel: { ...host.kernel, version: [6, 12] } };

function plan(config: Config, on: HostFacts = host): string {
  const input = inputOf({ name: 'features', host: 'debian-12-v2', config });
  const bundle = { ...input.bundle, links: { '/srv/link': 'elsewhere' }, resctrl: '/sys/fs/resctrl' };
  const cgroup = planCgroup({ config, layout: on.cgroup, id: 'c1', manager: 'cgroupfs' });
  const create = planCreate({ ...input, config, bundle, host: on }, cgroup);
  const apart = JSON.stringify([create.intelRdt, create.netDevices]);
  return `${printPlan(create)}${printCgroupPlan(create.cgroup)}${apart}`;
}

function differs(t: Test, name: string, [without, having]: readonly [string, string]): void {
  const elsewhere = SHOWN_ELSEWHERE[name];
  if (elsewhere !== undefined) {
    const [file, text] = elsewhere;
    t.ok(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').includes(text), `${name}: shown by ${file}`);
  }
  const wanted = elsewhere === undefined && NOTHING_TO_DO[name] === undefined;
  t.equal(without !== having, wanted, `${name}: ${wanted ? 'changes the plan' : 'needs its exception'}`);
}

const withLinux = (more: Linux): Config => ({ ...minimalConfig, linux: { ...minimalConfig.linux, ...more } });
const mapping = { containerID: 0, hostID: 100000, size: 65536 };
const mapped = withLinux({
  namespaces: [{ type: 'mount' }, { type: 'user' }],
  uidMappings: [mapping],
  gidMappings: [mapping],
});

/** Option -> a mount on which it has an effect, without it. The others are shown by a tmpfs with the opposite. */
const MOUNTS: Readonly<Record<string, Mount>> = {
  bind: { destination: '/m', type: 'none', source: '/srv/tree' },
  rbind: { destination: '/m', type: 'none', source: '/srv/tree', options: ['bind'] },
  'copy-symlink': { destination: '/m', source: '/srv/link', options: ['bind'] },
  'src-nofollow': { destination: '/m', source: '/srv/link', options: ['bind'] },
  idmap: { destination: '/m', source: '/srv/tree', options: ['rbind'] },
  ridmap: { destination: '/m', source: '/srv/tree', options: ['rbind', 'idmap'] },
};

function mountFor(option: string): Mount {
  const found = mountOptions.get(option);
  const cleared = found?.kind === 'flag' ? found.clear : 0;
  const opposite = [...mountOptions].find(
    ([, other]) => cleared !== 0 && other.kind === 'flag' && other.set === cleared,
  );
  return { destination: '/m', type: 'tmpfs', source: 'tmpfs', options: opposite === undefined ? [] : [opposite[0]] };
}

t.test('features: each mount option has an effect', (t) => {
  for (const option of announced.mountOptions ?? []) {
    const mount = MOUNTS[option] ?? mountFor(option);
    const base = option.endsWith('idmap') ? mapped : minimalConfig;
    const having = { ...mount, options: [...(mount.options ?? []), option] };
    differs(t, option, [plan({ ...base, mounts: [mount] }), plan({ ...base, mounts: [having] })]);
  }
  t.end();
});

t.test('features: each annotation has an effect, and each that is read is announced', (t) => {
  const values: Readonly<Record<string, readonly [key: string, value: string]>> = {
    [configAnnotations.unitProperty]: [`${configAnnotations.unitProperty}Description`, "'text'"],
    [configAnnotations.landlock]: [configAnnotations.landlock, '{"execute": ["/"]}'],
    [configAnnotations.overlay]: [configAnnotations.overlay, 'true'],
  };
  const show = (annotations: Record<string, string>): string => {
    const config = { ...minimalConfig, annotations };
    const systemd = planCgroup({ config, layout: LAYOUTS.v2, id: 'c1', manager: 'systemd' });
    return plan(config, landlockHost) + printCgroupPlan(systemd);
  };
  for (const name of announced.potentiallyUnsafeConfigAnnotations ?? []) {
    const [key, value] = values[name] ?? [name, '/file'];
    differs(t, name, [show({}), show({ [key]: value })]);
  }
  t.strictSame(announced.potentiallyUnsafeConfigAnnotations, Object.values(configAnnotations).sort());
  t.end();
});

t.test('features: each kind of hook, namespace and capability has an effect', (t) => {
  for (const kind of announced.hooks ?? [])
    differs(t, kind, [plan(minimalConfig), plan({ ...minimalConfig, hooks: { [kind]: [{ path: '/bin/true' }] } })]);
  for (const type of linux.namespaces ?? []) {
    const others = type === 'mount' ? [] : [{ type: 'mount' as const }];
    const having = type === 'user' ? mapped : withLinux({ namespaces: [...others, { type: type }] });
    differs(t, type, [plan(withLinux({ namespaces: others })), plan(having)]);
  }
  for (const name of linux.capabilities ?? []) {
    const having = { ...minimalConfig.process, capabilities: { bounding: [name] } };
    const base = { ...minimalConfig.process, capabilities: { bounding: [] } };
    const configs = [base, having].map((process) => plan({ ...minimalConfig, process } as Config));
    differs(t, name, configs as [string, string]);
  }
  t.end();
});

t.test('features: everything that is said about seccomp has an effect', (t) => {
  const show = (more: Partial<Seccomp>): string => {
    const config = withLinux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', ...more } });
    const seccomp = planSeccomp(config, config.process, host);
    return JSON.stringify(seccomp, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  };
  const { actions = [], operators = [], archs = [], supportedFlags = [] } = linux.seccomp ?? {};
  for (const action of actions) {
    // What the default says needs no rule.
    const defaultAction = action === 'SCMP_ACT_ALLOW' ? 'SCMP_ACT_ERRNO' : 'SCMP_ACT_ALLOW';
    const base = { defaultAction, listenerPath: '/run/agent.sock' } as const;
    differs(t, action, [show(base), show({ ...base, syscalls: [{ names: ['mkdir'], action }] })]);
  }
  const compare = (op: string): string => {
    const args = [{ index: 0, value: 1, op }];
    return show({ syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO', args } as never] });
  };
  for (const op of operators)
    for (const other of operators) if (other !== op) differs(t, op, [compare(other), compare(op)]);
  const native = 'SCMP_ARCH_X86_64';
  const foreign = archs.filter((arch) => arch !== native);
  for (const arch of foreign) differs(t, arch, [show({}), show({ architectures: [arch] })]);
  t.match(show({ architectures: [native] }), /"x86_64"/);
  for (const flag of supportedFlags) {
    const syscalls = [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' as const }];
    // Without any, SPEC_ALLOW is the default.
    const base = { syscalls, listenerPath: '/run/agent.sock', flags: [] };
    differs(t, flag, [show(base), show({ ...base, flags: [flag] })]);
  }
  t.end();
});

const NODELESS = ['MPOL_DEFAULT', 'MPOL_LOCAL'];

t.test('features: each mode and flag of a memory policy has an effect', (t) => {
  const show = (mode: string, flags: readonly string[] = []): string =>
    plan(withLinux({ memoryPolicy: { mode, flags, ...(NODELESS.includes(mode) ? {} : { nodes: '0' }) } as never }));
  const { modes = [], flags = [] } = linux.memoryPolicy ?? {};
  for (const mode of modes) for (const other of modes) if (mode !== other) differs(t, mode, [show(other), show(mode)]);
  for (const flag of flags) differs(t, flag, [show('MPOL_BIND'), show('MPOL_BIND', [flag])]);
  t.end();
});

t.test('features: everything else has an effect, and nothing is forgotten', (t) => {
  const cgroup = (layout: keyof typeof LAYOUTS, more: Partial<Parameters<typeof planCgroup>[0]> = {}): string => {
    const input = { config: minimalConfig, layout: LAYOUTS[layout], id: 'c1', manager: 'cgroupfs', ...more } as const;
    return printCgroupPlan(planCgroup(input));
  };
  const namespaces: Namespace[] = [{ type: 'mount' }, { type: 'network' }];
  const session = { bus: 'user', uid: 1000 } as const;
  const process = (more: Partial<NonNullable<Config['process']>>): Config => {
    return { ...minimalConfig, process: { cwd: '/', args: ['/bin/true'], ...minimalConfig.process, ...more } };
  };
  const shown: Readonly<Record<string, readonly [string, string]>> = {
    'cgroup.v1': [cgroup('v2'), cgroup('v1')],
    'cgroup.v2': [cgroup('v1'), cgroup('v2')],
    'cgroup.systemd': [cgroup('v2'), cgroup('v2', { manager: 'systemd' })],
    'cgroup.systemdUser': [
      cgroup('v2', { manager: 'systemd' }),
      cgroup('v2', { manager: 'systemd', systemd: session }),
    ],
    'cgroup.rdma': [plan(minimalConfig), plan(withLinux({ resources: { rdma: { mlx5_1: { hcaHandles: 3 } } } }))],
    apparmor: [plan(process({})), plan(process({ apparmorProfile: 'profile' }))],
    selinux: [plan(process({})), plan(process({ selinuxLabel: 'u:r:t:s0' }))],
    'intelRdt.schemata': [plan(withLinux({ intelRdt: {} })), plan(withLinux({ intelRdt: { schemata: ['MB:0=20'] } }))],
    'intelRdt.monitoring': [
      plan(withLinux({ intelRdt: {} })),
      plan(withLinux({ intelRdt: { enableMonitoring: true } })),
    ],
    netDevices: [plan(withLinux({ namespaces })), plan(withLinux({ namespaces, netDevices: { eth0: {} } }))],
    'mountExtensions.idmap': [
      plan({ ...mapped, mounts: [MOUNTS['idmap'] as Mount] }),
      plan({ ...mapped, mounts: [{ ...(MOUNTS['idmap'] as Mount), options: ['rbind', 'idmap'] }] }),
    ],
  };
  for (const [name, pair] of Object.entries(shown)) differs(t, name, pair);
  const LISTS = ['namespaces', 'capabilities', 'seccomp', 'memoryPolicy'];
  const parts = Object.entries(linux).flatMap(([name, value]) => {
    if (LISTS.includes(name) || typeof value !== 'object') return [];
    return Object.keys(value as object).map((key) => `${name}.${key}`.replace(/\.enabled$/, ''));
  });
  const known = [...Object.keys(shown), 'intelRdt'].sort();
  t.strictSame(parts.sort(), known, 'every claim has a plan that shows it');
  t.end();
});
