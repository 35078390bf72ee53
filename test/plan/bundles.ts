import { readFileSync } from 'node:fs';
import { planCgroup } from '../../src/plan/cgroup/plan.ts';
import { planCreate, type CreateInput, type CreatePlan } from '../../src/plan/create.ts';
import type { BundleFacts, HostFacts, SourceKind } from '../../src/plan/base/facts.ts';
import { descriptorNumbers, type PlanOptions } from '../../src/plan/base/context.ts';
import { planRunListened, planRunProgram } from '../../src/plan/run-program.ts';
import { planSeccomp } from '../../src/plan/seccomp/load.ts';
import type { Program } from '../../src/program/step.ts';
import { printProgram } from '../../src/program/print.ts';
import { isBindMount } from '../../src/spec/bind-mount.ts';
import type { Config, Process, Seccomp } from '../../src/spec/generated/config.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { loadConfig } from '../../src/spec/validate.ts';

/** The machines of test/fixtures/facts, by file name. */
export const HOSTS = ['hybrid-no-sys-resource', 'debian-12-v2', 'old-5.10', 'unprivileged'] as const;
export type HostName = (typeof HOSTS)[number];

export function readHost(name: HostName): HostFacts {
  const file = new URL(`../fixtures/facts/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as HostFacts;
}

/** A whole config on a machine. */
export interface Scenario {
  readonly name: string;
  readonly host: HostName;
  readonly config: Config;
  readonly options?: Partial<PlanOptions>;
}

const mappings = [
  { containerID: 0, hostID: 100000, size: 65536 },
  { containerID: 65536, hostID: 200000, size: 1 },
];

/** Nothing but what the specification demands, and a mount namespace. */
export const minimalConfig: Config = {
  ociVersion: '1.3.0',
  root: { path: 'rootfs' },
  process: { cwd: '/', args: ['/bin/true'], env: ['HOME=/root'] },
  linux: { namespaces: [{ type: 'mount' }] },
};

export const joinedConfig: Config = {
  ociVersion: '1.3.0',
  root: { path: 'rootfs' },
  process: { cwd: '/', args: ['true'], env: ['PATH=/bin', 'HOME=/root'], user: { uid: 0, gid: 0 } },
  linux: {
    namespaces: [
      { type: 'mount' },
      { type: 'pid', path: '/proc/77/ns/pid' },
      { type: 'network', path: '/run/netns/pod' },
      { type: 'ipc', path: '/proc/77/ns/ipc' },
      { type: 'uts', path: '/proc/77/ns/uts' },
      { type: 'user', path: '/proc/77/ns/user' },
      { type: 'cgroup', path: '/proc/77/ns/cgroup' },
      { type: 'time', path: '/proc/77/ns/time' },
    ],
  },
};

/** Every kind of thing that this version plans, as far as the machine has it. */
export function fullConfig({ kernel, lsm }: HostFacts): Config {
  const idmapped = { uidMappings: [...mappings], gidMappings: [...mappings] };
  const newOnly = kernel.mountSetattr
    ? [
        { destination: '/own', source: '/srv/own', options: ['rbind', 'idmap'] },
        { destination: '/lent', source: '/srv/lent', options: ['rbind', 'ridmap'], ...idmapped },
        { destination: '/tree', source: '/srv/tree', options: ['rbind', 'rro', 'rnosuid', 'rslave'] },
      ]
    : [];
  return {
    ociVersion: '1.3.0',
    root: { path: 'rootfs', readonly: true },
    hostname: 'full',
    domainname: 'example.org',
    process: {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      cwd: '/work/here',
      env: ['PATH=/usr/bin:/bin', 'TERM=xterm'],
      args: ['sh', '-c', 'true'],
      user: { uid: 1, gid: 2, umask: 0o27, additionalGids: [3, 4] },
      capabilities: {
        bounding: ['CAP_CHOWN', 'CAP_KILL'],
        effective: ['CAP_CHOWN'],
        inheritable: ['CAP_CHOWN'],
        permitted: ['CAP_CHOWN'],
        ambient: ['CAP_CHOWN'],
      },
      noNewPrivileges: true,
      ...(lsm.apparmor ? { apparmorProfile: 'profile' } : {}),
      ...(lsm.selinux ? { selinuxLabel: 'u:r:t:s0' } : {}),
      oomScoreAdj: 100,
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 512, hard: 1024 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ],
      scheduler: { policy: 'SCHED_BATCH', nice: 5 },
      ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 7 },
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue' },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
      { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro', 'relatime'] },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['ro', 'size=1m'] },
      { destination: '/var/cache', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'rprivate'] },
      { destination: '/data', source: 'data', options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec', 'rslave'] },
      { destination: '/etc/hosts', source: '/srv/hosts', options: ['bind', 'noatime', 'private'] },
      ...newOnly,
    ],
    hooks: { createRuntime: [{ path: '/bin/true' }] },
    linux: {
      namespaces: (['pid', 'network', 'ipc', 'uts', 'mount', 'user', 'cgroup', 'time'] as const).map((type) => ({
        type,
      })),
      uidMappings: [...mappings],
      gidMappings: [...mappings],
      timeOffsets: { monotonic: { secs: -10, nanosecs: 5 }, boottime: { secs: 86400 } },
      devices: [
        { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o600, uid: 1, gid: 2 },
        { type: 'p', path: '/dev/a/fifo', fileMode: 0o644 },
      ],
      cgroupsPath: '/full',
      resources: { devices: [{ allow: false, access: 'rwm' }], pids: { limit: 100 } },
      rootfsPropagation: 'rshared',
      sysctl: { 'net.ipv4.ip_forward': '1', 'kernel.shmmax': '65536' },
      maskedPaths: ['/proc/kcore', '/sys/firmware'],
      readonlyPaths: ['/proc/sys', '/proc/sysrq-trigger'],
      personality: { domain: 'LINUX32' },
      memoryPolicy: { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] },
      ...(lsm.selinux ? { mountLabel: 'u:r:t:s0:c1,c2' } : {}),
    },
  };
}

const ROOT_HOSTS = ['hybrid-no-sys-resource', 'debian-12-v2', 'old-5.10'] as const;

/** The plans that have a golden. */
export const SCENARIOS: readonly Scenario[] = [
  ...ROOT_HOSTS.flatMap((host): Scenario[] => [
    { name: 'template', host, config: specTemplate({ rootless: false }) },
    { name: 'full', host, config: fullConfig(readHost(host)) },
  ]),
  { name: 'template', host: 'unprivileged', config: specTemplate({ rootless: true, uid: 1000, gid: 1000 }) },
  { name: 'minimal', host: 'debian-12-v2', config: minimalConfig },
  { name: 'joined', host: 'debian-12-v2', config: joinedConfig },
  {
    name: 'no-pivot',
    host: 'hybrid-no-sys-resource',
    config: { ...specTemplate({ rootless: false }), hostname: 'no-pivot' },
    options: { noPivot: true, noNewKeyring: true, preserveFds: 2 },
  },
  {
    name: 'no-pivot',
    host: 'old-5.10',
    config: { ...minimalConfig, root: { path: 'rootfs', readonly: true } },
    options: { noPivot: true },
  },
  { name: 'seccomp-early', host: 'debian-12-v2', config: withSeccomp({ noNewPrivileges: false }) },
  { name: 'seccomp-late', host: 'debian-12-v2', config: withSeccomp({ noNewPrivileges: true }) },
];

function withSeccomp(changes: Partial<Process>): Config {
  const seccomp: Seccomp = {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      { names: ['read', 'write', 'execve'], action: 'SCMP_ACT_ALLOW' },
      { names: ['mount'], action: 'SCMP_ACT_NOTIFY' },
    ],
    listenerPath: '/run/agent.sock',
  };
  const process = { cwd: '/', args: ['/bin/true'], env: ['HOME=/root'], ...changes };
  return { ...minimalConfig, process, linux: { ...minimalConfig.linux, seccomp } };
}

/** Files among the sources of bind mounts; every other source is a directory. */
const FILE_SOURCES: ReadonlySet<string> = new Set(['/srv/hosts']);

function bundleFacts(config: Config): BundleFacts {
  const sources: Record<string, SourceKind> = {};
  for (const mount of config.mounts ?? []) {
    if (!isBindMount(mount)) continue;
    const source = mount.source ?? '';
    const path = source.startsWith('/') ? source : `/bundle/${source}`;
    sources[path] = FILE_SOURCES.has(path) ? 'file' : 'directory';
  }
  return {
    bundle: '/bundle',
    rootfs: '/bundle/rootfs',
    rootfsMountPoint: '/',
    danglingLinks: {},
    sources,
    namespaces: {},
  };
}

/** What planCreate is given for a scenario, its config read as from a file. */
export function inputOf({ config, host, options }: Scenario): CreateInput {
  const loaded = loadConfig(JSON.stringify(config)).config;
  const facts = readHost(host);
  const seccomp = planSeccomp(loaded, loaded.process, facts);
  return {
    id: 'c1',
    config: loaded,
    host: facts,
    bundle: bundleFacts(loaded),
    options: { noPivot: false, noNewKeyring: false, preserveFds: 0, ...options },
    // What libseccomp would make of the rules is not the planner's concern.
    ...(seccomp === undefined ? {} : { seccomp: { ...seccomp, program: new Uint8Array(64) } }),
  };
}

/** The programs after `start` for a filter, which loads a late one; nothing without a filter. */
export function runPrograms(scenario: Scenario): Program[] {
  const { config, seccomp } = inputOf(scenario);
  if (seccomp === undefined || config.process === undefined) return [];
  const descriptors = descriptorNumbers(scenario.options?.preserveFds ?? 0);
  const program = { process: config.process, executable: '/bin/true', home: '/root', seccomp };
  if (seccomp.position === 'early') return [planRunProgram(descriptors, program)];
  const { load, run } = planRunListened(descriptors, program, seccomp);
  return [load, run(5)];
}

export function planScenario(scenario: Scenario): CreatePlan {
  const input = inputOf(scenario);
  const { config, host, id } = input;
  const rootless = host.identity.euid !== 0;
  return planCreate(input, planCgroup({ config, layout: host.cgroup, id, manager: 'cgroupfs', rootless }));
}

/** What `create` makes up for `start`: the one that is read from a connection of the model, in which nothing is. */
export const TOKEN = new Uint8Array(16);

/** Everything of a plan but its cgroup, whose goldens are in test/plan/cgroup. */
export function printPlan(plan: CreatePlan): string {
  const { phases, park, rlimits, candidates, idMaps, idmapNamespaces, warnings } = plan;
  const limits = rlimits.map(({ label, soft, hard, pointer }) => `${label} ${soft}:${hard} (${pointer})`);
  return [
    ...phases.map(({ program, exchange }) => `${printProgram(program)}  -> ${exchange}\n`),
    printProgram(park({ start: TOKEN, handles: TOKEN })),
    `id maps: ${JSON.stringify(idMaps ?? null)}`,
    `idmap namespaces: ${JSON.stringify(idmapNamespaces)}`,
    `resource limits: ${JSON.stringify(limits)}`,
    `candidates: ${JSON.stringify(candidates)}`,
    `warnings: ${JSON.stringify(warnings)}`,
    '',
  ].join('\n');
}
