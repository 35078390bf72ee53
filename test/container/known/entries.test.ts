import t from 'tap';
import { KnownEntries } from '../../../src/container/known/entries.ts';
import { planEntry, type EntryInput } from '../../../src/plan/choose-exec.ts';
import type { ExecPlan } from '../../../src/plan/exec.ts';
import type { CompiledSeccomp } from '../../../src/plan/seccomp/load.ts';
import { encode } from '../../../src/program/encode.ts';
import type { Process } from '../../../src/spec/generated/config.ts';
import { joinedConfig, minimalConfig, readHost } from '../../plan/bundles.ts';

const own: Process = { cwd: '/', args: ['sh', '-c', 'exit 1'], env: ['PATH=/bin:/sbin', 'TERM=xterm'] };
const filter: CompiledSeccomp = {
  ...{ rules: { defaultAction: 0, syscalls: [], architectures: [], flags: [] }, position: 'early' },
  ...{ defaultAction: 'SCMP_ACT_ALLOW', program: new Uint8Array(8) },
} as unknown as CompiledSeccomp;

function inputOf(process: Process = own, changes: Partial<EntryInput> = {}): EntryInput {
  const directories = [{ kind: 'v1', hostPath: '/sys/fs/cgroup/pids/c1', controllers: ['pids'], made: [] }] as const;
  return {
    container: { id: 'c1', bundle: '/bundle', rootfs: '/bundle/rootfs', isChrooted: false, cgroup: { directories } },
    config: { ...minimalConfig, process },
    host: readHost('hybrid-no-sys-resource'),
    inodes: { ...readHost('hybrid-no-sys-resource').namespaces, mnt: '1', pid: '2' },
    handed: undefined,
    options: { preserveFds: 0, detach: true },
    seccomp: undefined,
    ...changes,
  };
}

/** What of a plan a process and its maker get to see. */
function shown({ phases, ...others }: ExecPlan, input: EntryInput): unknown {
  const rlimits = others.rlimits.map(({ soft, hard, ...limit }) => ({ ...limit, soft: `${soft}`, hard: `${hard}` }));
  const options = { arch: input.host.arch, syncFd: others.descriptors.sync };
  return JSON.stringify(
    [
      { ...others, rlimits },
      phases.map(({ program, exchange }) => {
        const packets = (program.encoded?.packets ?? encode(program, options)).map(({ bytes, steps }) => [
          Buffer.from(bytes).toString('hex'),
          steps,
        ]);
        return [exchange, program.name, program.reply?.words, program.steps.map(({ label }) => label), packets];
      }),
    ],
    (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value),
  );
}

t.test('a process that differs in what no plan looks at has the plan of the one before', (t) => {
  const entries = new KnownEntries();
  const first = entries.plan(inputOf(), minimalConfig);
  for (const process of [
    own,
    { ...own, args: ['sh', '-c', 'another script'] },
    { ...own, env: ['PATH=/bin:/sbin', 'OTHER=1'] },
  ]) {
    const input = inputOf(process);
    const found = entries.plan(input, minimalConfig);
    t.equal(found, first);
    t.equal(shown(found, input), shown(planEntry(input), input), 'which is that of its own');
  }
  t.end();
});

t.test('all that a plan is made from makes another', (t) => {
  const entries = new KnownEntries();
  const first = entries.plan(inputOf(), minimalConfig);
  const { container, host } = inputOf();
  const rows: readonly (readonly [string, EntryInput])[] = [
    ['another program', inputOf({ ...own, args: ['ls'] })],
    ['another PATH', inputOf({ ...own, env: ['PATH=/usr/bin'] })],
    ['a home', inputOf({ ...own, env: [...(own.env ?? []), 'HOME=/root'] })],
    ['another user', inputOf({ ...own, user: { uid: 1 } })],
    ['another directory', inputOf({ ...own, cwd: '/tmp' })],
    ['a terminal', inputOf({ ...own, terminal: true })],
    ['a limit', inputOf({ ...own, rlimits: [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }] })],
    ['other namespaces', inputOf(own, { inodes: { ...host.namespaces, mnt: '1' } })],
    ['descriptors', inputOf(own, { options: { preserveFds: 1, detach: true } })],
    ['in the foreground', inputOf(own, { options: { preserveFds: 0, detach: false } })],
    [
      'another limit of open files',
      inputOf(own, { options: { ...inputOf().options, openFiles: { soft: 1n, hard: 2n } } }),
    ],
    ['another root', inputOf(own, { container: { ...container, isChrooted: true } })],
    ['another cgroup', inputOf(own, { container: { ...container, cgroup: { directories: [] } } })],
    ['another machine', inputOf(own, { host: { ...host, kernel: { ...host.kernel, lastCapability: 3 } } })],
    ['a filter', inputOf(own, { seccomp: filter })],
    ['another filter', inputOf(own, { seccomp: { ...filter, program: new Uint8Array(16) } })],
  ];
  for (const [name, input] of rows) {
    const found = entries.plan(input, minimalConfig);
    t.not(found, first, name);
    t.equal(shown(found, input), shown(planEntry(input), input), `${name}: as it is planned`);
    t.equal(entries.plan(input, minimalConfig), found, `${name}: known from now on`);
  }
  t.end();
});

t.test('a container has its own plans, and a machine that is the same again is the same', (t) => {
  const entries = new KnownEntries();
  const first = entries.plan(inputOf(), minimalConfig);
  t.not(entries.plan(inputOf(), joinedConfig), first);
  t.equal(entries.plan(inputOf(own, { host: readHost('hybrid-no-sys-resource') }), minimalConfig), first);
  t.end();
});

t.test('few plans are kept, and no large ones', (t) => {
  const entries = new KnownEntries();
  const plan = (uid: number): ExecPlan => entries.plan(inputOf({ ...own, user: { uid } }), minimalConfig);
  const first = plan(0);
  for (const uid of [1, 2, 3]) plan(uid);
  t.equal(plan(0), first, 'four');
  for (const uid of [4, 5, 6, 7]) plan(uid);
  t.not(plan(0), first, 'the oldest is given up');
  const many = { ...own, user: { uid: 0, additionalGids: Array.from({ length: 20_000 }, (_, index) => index) } };
  t.not(entries.plan(inputOf(many), minimalConfig), entries.plan(inputOf(many), minimalConfig));
  t.end();
});
