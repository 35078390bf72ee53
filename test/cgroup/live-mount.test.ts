import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import t, { type Test } from 'tap';
import { makeCgroup } from '../../src/cgroup/select.ts';
import { readCgroupLayout } from '../../src/host/cgroup-layout.ts';
import { allocateSharedSlots } from '../../src/plan/base/context.ts';
import { planCgroupMount } from '../../src/plan/rootfs/cgroup-mount.ts';
import { joinPlaces, planCgroupJoin } from '../../src/plan/namespaces/join-cgroups.ts';
import type { CgroupLayout } from '../../src/plan/base/cgroup-layout.ts';
import { planCgroup } from '../../src/plan/cgroup/plan.ts';
import { EXCHANGES } from '../../src/plan/base/exchanges.ts';
import { reply } from '../../src/plan/base/reply.ts';
import { call } from '../../src/program/build.ts';
import { Memory, type Step } from '../../src/program/step.ts';
import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWNS,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  O_CLOEXEC,
  O_PATH,
} from '../../src/util/constants.ts';
import { NATIVE_ARCH, RealInit, SYNC_FD, wordsOf } from '../init/real-init.ts';
import { cleanUp, joinCgroups, membershipOf, NO_BUSES, partOf, PREFIX, whyNotLive } from './live.ts';

const skip = whyNotLive();
t.afterEach(() => cleanUp([]));

/** What an init finds at its mount point after the planned steps, in namespaces of its own. */
interface Mounted {
  readonly names: readonly string[];
  readonly read: (path: string) => string;
  readonly link: (path: string) => string;
  /** Type, options and root of the mount at a path below the mount point. */
  readonly mountAt: (path: string) => { type: string; options: string; root: string };
  readonly membership: ReadonlyMap<string, string>;
}

let counter = 0;
async function mountIn(
  t: Test,
  layout: CgroupLayout,
  options: { hasCgroupNamespace: boolean; readonly: boolean; check: (mounted: Mounted) => void },
): Promise<void> {
  const target = t.testdir({});
  const cgroupsPath = `/${PREFIX}-mount-${++counter}`;
  const plan = planCgroup({
    config: { linux: { cgroupsPath } },
    layout,
    id: PREFIX,
    manager: 'cgroupfs',
    rootless: true,
  });
  const cgroup = makeCgroup(plan, NO_BUSES);
  const init = new RealInit({ arch: NATIVE_ARCH, directory: t.testdir({ image: {} }) });
  try {
    if (layout.unified !== undefined) joinCgroups(cgroup, init.pid);
    const steps = planSteps({ plan, layout, target, ...options });
    const answers = init.run({ name: 'mount the cgroups', steps, replies: true });
    const [tag, at, result] = wordsOf(answers[0] ?? new Uint8Array());
    if (tag !== EXCHANGES.ready.tag) throw new Error(`step ${at}: ${BigInt.asIntN(64, result ?? 0n)}`);
    const root = `/proc/${init.pid}/root${target}`;
    options.check({
      names: readdirSync(root).sort(),
      read: (path) => readFileSync(`${root}/${path}`, 'utf8').trim(),
      link: (path) => readlinkSync(`${root}/${path}`),
      mountAt: (path) => findMount(init.pid, path === '' ? target : `${target}/${path}`),
      membership: membershipOf(init.pid),
    });
  } finally {
    // Init ends with its sync pipe.
    await init.close();
    await cgroup.remove();
  }
}

type Planned = Parameters<typeof planCgroupMount>[0]['plan'];

function planSteps(input: {
  plan: Planned;
  layout: CgroupLayout;
  target: string;
  hasCgroupNamespace: boolean;
  readonly: boolean;
}): Step[] {
  const memory = new Memory();
  const context = { memory, slots: allocateSharedSlots(memory) };
  const target = memory.word('target');
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (input.readonly ? MS_RDONLY : 0);
  const namespaces = CLONE_NEWNS | (input.hasCgroupNamespace ? CLONE_NEWCGROUP : 0);
  return [
    ...planCgroupJoin(context, joinPlaces(input.plan)),
    call('unshare', [namespaces], { label: 'new namespaces' }),
    call('mount', ['none', '/', 0, MS_REC | MS_PRIVATE, 0], { label: 'keep mounts to ourselves' }),
    call('openat', [AT_FDCWD, input.target, O_PATH | O_CLOEXEC, 0], { label: 'open the target', result: target }),
    ...planCgroupMount({ ...input, context, target, flags, destination: '/sys/fs/cgroup' }),
    reply(SYNC_FD, 'ready', 'done'),
  ];
}

/** The uppermost mount at a path, from mountinfo. */
function findMount(pid: number, path: string): { type: string; options: string; root: string } {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[4] === path);
  const fields = lines.at(-1)?.split(' ') ?? [];
  return { type: fields[fields.indexOf('-') + 1] ?? '', options: fields[5] ?? '', root: fields[3] ?? '' };
}

const live = (name: string, body: (t: Test) => Promise<unknown>): void => {
  void t.test(name, { skip: skip ?? false }, body);
};

for (const hasCgroupNamespace of [true, false]) {
  const where = hasCgroupNamespace ? 'in a cgroup namespace' : 'without a cgroup namespace';
  live(`planCgroupMount() shows the container its own v1 cgroups ${where}`, async (t) => {
    const layout = readCgroupLayout('/proc/self');
    await mountIn(t, layout, {
      hasCgroupNamespace,
      readonly: true,
      check: ({ names, read, mountAt, membership }) => {
        const all = [...layout.hierarchies, ...(layout.unified === undefined ? [] : [layout.unified])];
        const wanted = all.map(({ mountPoint }) => mountPoint.slice(mountPoint.lastIndexOf('/') + 1));
        t.strictSame(names, wanted.sort());
        t.match(mountAt(''), { type: 'tmpfs', options: /^ro,nosuid,nodev,noexec/ });
        for (const name of wanted) {
          const { type, options, root } = mountAt(name);
          t.equal(type, name === 'unified' ? 'cgroup2' : 'cgroup', name);
          t.match(options, /^ro,nosuid,nodev,noexec/, name);
          const whole = name === 'unified' && !hasCgroupNamespace;
          // Seen from outside, the root is the container's cgroup, however it was mounted.
          if (!whole) t.match(root, `/${PREFIX}`, name);
          if (!whole) t.notOk(read(`${name}/cgroup.procs`) === '', `${name} has init in it`);
        }
        t.match(membership.get('pids'), `/${PREFIX}`, 'joined by tasks');
      },
    });
  });
}

live('planCgroupMount() leaves a writable mount writable', async (t) => {
  await mountIn(t, partOf(readCgroupLayout('/proc/self'), ['pids', 'memory'], { unified: false }), {
    hasCgroupNamespace: false,
    readonly: false,
    check: ({ names, mountAt }) => {
      t.strictSame(names, ['memory', 'pids']);
      t.match(mountAt('').options, /^rw,/);
      t.match(mountAt('pids').options, /^rw,nosuid/);
    },
  });
});

live('planCgroupMount() mounts cgroup2 alone', async (t) => {
  const layout = partOf(readCgroupLayout('/proc/self'), [], { unified: true });
  if (layout.unified === undefined) {
    t.plan(0, 'no cgroup2 mount');
    return;
  }
  await mountIn(t, layout, {
    hasCgroupNamespace: true,
    readonly: true,
    check: ({ names, mountAt, membership }) => {
      t.ok(names.includes('cgroup.procs'));
      t.match(mountAt(''), { type: 'cgroup2', options: /^ro,nosuid,nodev,noexec/ });
      t.match(membership.get(''), `/${PREFIX}`);
    },
  });
});
