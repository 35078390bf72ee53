import t from 'tap';
import { planCgroupMount } from '../../../src/plan/rootfs/cgroup-mount.ts';
import { joinPlaces, planCgroupJoin, planUnifiedOpen } from '../../../src/plan/namespaces/join-cgroups.ts';
import type { CgroupLayout } from '../../../src/plan/base/cgroup-layout.ts';
import { planCgroup } from '../../../src/plan/cgroup/plan.ts';
import type { Step } from '../../../src/program/step.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../../../src/util/constants.ts';
import { makeContext, printSteps } from '../fixtures.ts';
import { HYBRID_LAYOUT, V1_LAYOUT, V2_LAYOUT } from './fixtures.ts';

const FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;

function mount(layout: CgroupLayout, options: { hasCgroupNamespace: boolean; flags?: number }): Step[] {
  const manager = layout.mode === 'none' ? 'disabled' : 'cgroupfs';
  const plan = planCgroup({ config: { linux: { cgroupsPath: '/c1' } }, layout, id: 'c1', manager });
  const context = makeContext();
  return planCgroupMount({
    context,
    layout,
    plan,
    hasCgroupNamespace: options.hasCgroupNamespace,
    flags: options.flags ?? FLAGS,
    target: context.memory.word('target'),
    destination: '/sys/fs/cgroup',
    pointer: '/mounts/4',
  });
}

/** Calls with those operands that are text. */
const brief = (steps: readonly Step[]): string[] => {
  return steps.map((step) => {
    if (step.kind === 'check') return 'check';
    return [step.call, ...step.operands.filter((operand) => typeof operand === 'string')].join(' ');
  });
};

t.test('planCgroupMount() mounts cgroup2, and binds the own cgroup where that is not permitted', (t) => {
  t.matchOnly(brief(mount(V2_LAYOUT, { hasCgroupNamespace: true })), [
    'fchdir',
    'mount cgroup . cgroup2',
    'check',
    'open_tree /sys/fs/cgroup/c1',
    'move_mount  ',
    'fchdir',
    'mount none .',
    'close',
  ]);
  t.ok(
    brief(mount(V2_LAYOUT, { hasCgroupNamespace: false })).includes('open_tree /sys/fs/cgroup'),
    'without a namespace the host mount',
  );
  t.end();
});

t.test('planCgroupMount() makes a directory for every v1 hierarchy, and links the names mounted together', (t) => {
  const layout = {
    ...V1_LAYOUT,
    hierarchies: V1_LAYOUT.hierarchies.filter(({ controllers }) =>
      ['cpu', 'name=systemd'].includes(controllers[0] ?? ''),
    ),
  };
  const plain = {
    ...layout,
    hierarchies: [
      ...layout.hierarchies,
      { controllers: ['devices'], mountPoint: '/sys/fs/cgroup/devices', ownPath: '/' },
    ],
  };
  const steps = brief(mount(plain, { hasCgroupNamespace: false }));
  t.strictSame(steps.slice(0, 6), [
    'fsopen tmpfs',
    'fsconfig mode 755',
    'fsconfig',
    'fsmount',
    'close',
    'move_mount  ',
  ]);
  t.strictSame(
    steps.filter((step) => /^(mkdirat|symlinkat|open_tree)/.test(step)),
    [
      'mkdirat cpu,cpuacct',
      'open_tree /sys/fs/cgroup/cpu,cpuacct/c1',
      'symlinkat cpu,cpuacct cpu',
      'symlinkat cpu,cpuacct cpuacct',
      'mkdirat systemd',
      'open_tree /sys/fs/cgroup/systemd/c1',
      'mkdirat devices',
      'open_tree /sys/fs/cgroup/devices/c1',
    ],
  );
  const fresh = brief(mount(plain, { hasCgroupNamespace: true })).filter((step) => step.startsWith('mount cgroup'));
  t.strictSame(fresh, [
    'mount cgroup . cgroup cpu,cpuacct',
    'mount cgroup . cgroup name=systemd',
    'mount cgroup . cgroup devices',
  ]);
  t.end();
});

t.test('planCgroupMount() puts cgroup2 beside them on a hybrid machine', (t) => {
  const steps = brief(mount(HYBRID_LAYOUT, { hasCgroupNamespace: true }));
  t.ok(steps.includes('mkdirat unified') && steps.includes('mount cgroup . cgroup2'));
  t.end();
});

t.test('planCgroupMount() makes the tmpfs read-only last', (t) => {
  const count = (steps: readonly string[]): number => steps.filter((step) => step === 'mount none .').length;
  const writable = brief(mount(HYBRID_LAYOUT, { hasCgroupNamespace: true }));
  const readonly = brief(mount(HYBRID_LAYOUT, { hasCgroupNamespace: true, flags: FLAGS | MS_RDONLY }));
  t.equal(count(readonly), count(writable) + 1);
  t.strictSame(readonly.slice(-3), ['fchdir', 'mount none .', 'close']);
  t.end();
});

t.test('planCgroupMount() gives programs that the verifier takes, every step with the pointer', (t) => {
  for (const layout of [V1_LAYOUT, HYBRID_LAYOUT, V2_LAYOUT]) {
    for (const hasCgroupNamespace of [true, false]) {
      const steps = mount(layout, { hasCgroupNamespace, flags: FLAGS | MS_RDONLY });
      t.doesNotThrow(() => printSteps(openTarget(steps)), `${layout.mode} ${hasCgroupNamespace}`);
      const bare = steps.filter((step) => step.pointer === undefined && step.kind === 'call' && step.call !== 'close');
      t.strictSame(bare, []);
    }
  }
  t.end();
});

/** The verifier wants a word to be written before it is read. */
function openTarget(steps: Step[]): Step[] {
  const target = steps
    .flatMap((step) => (step.kind === 'call' ? step.operands : []))
    .find((operand) => {
      return typeof operand === 'object' && operand.kind === 'region' && operand.name === 'target';
    });
  if (typeof target !== 'object' || target.kind !== 'region') throw new Error('nothing is mounted on the target');
  return [{ kind: 'call', call: 'openat', operands: [-100, '/x', 0, 0], label: 'open', result: target }, ...steps];
}

t.test('planCgroupMount() refuses a machine without cgroups', (t) => {
  t.throws(() => mount({ mode: 'none', hierarchies: [] }, { hasCgroupNamespace: true }), {
    code: 'unsupported',
    issues: [{ pointer: '/mounts/4' }],
  });
  t.end();
});

t.test('planCgroupJoin() moves init by tasks on v1, planUnifiedOpen() opens cgroup2 for the clone', (t) => {
  const plan = planCgroup({
    config: { linux: { cgroupsPath: '/c1' } },
    layout: HYBRID_LAYOUT,
    id: 'c1',
    manager: 'cgroupfs',
  });
  const context = makeContext();
  const steps = planCgroupJoin(context, joinPlaces(plan));
  t.strictSame(brief(steps).slice(0, 3), ['openat /sys/fs/cgroup/cpu/c1/tasks', 'write 0', 'close']);
  t.equal(steps.length, 3 * HYBRID_LAYOUT.hierarchies.length);
  t.strictSame(brief(planUnifiedOpen(context, joinPlaces(plan), context.memory.word('unified'))), [
    'openat /sys/fs/cgroup/unified/c1',
  ]);
  t.doesNotThrow(() =>
    printSteps([...steps, ...planUnifiedOpen(context, joinPlaces(plan), context.memory.word('again'))]),
  );
  const v1 = planCgroup({ config: {}, layout: V1_LAYOUT, id: 'c1', manager: 'cgroupfs' });
  t.strictSame(planUnifiedOpen(context, joinPlaces(v1), context.memory.word('none')), []);
  t.end();
});
