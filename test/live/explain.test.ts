import { chmodSync, readFileSync } from 'node:fs';
import {
  expectSuccess,
  live,
  setNamespace,
  setUserNamespace,
  type BaseConfig,
  type BundleOptions,
} from './support/rig.ts';
import { missingTools } from './support/surroundings.ts';
import { comparePlan, readTrace, type PlanStep } from './support/trace.ts';

interface Explanation {
  readonly programs: readonly { readonly name: string; readonly steps: readonly PlanStep[] }[];
  readonly cgroup: unknown;
  readonly warnings: readonly string[];
}

const RICH = (config: BaseConfig): void => {
  setNamespace(config, 'cgroup');
  setNamespace(config, 'time');
  config.linux.timeOffsets = { boottime: { secs: 10, nanosecs: 0 } };
  config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
  config.process.cwd = '/made';
  config.process.user = { uid: 1000, gid: 1000, additionalGids: [5] };
  config.mounts.push({ destination: '/data', type: 'bind', source: '/etc', options: ['rbind', 'ro', 'nosuid'] });
  config.mounts.push({ destination: '/scratch', type: 'tmpfs', source: 'tmpfs', options: ['ro', 'tmpcopyup'] });
};

const BUNDLES: Readonly<Record<string, BundleOptions>> = {
  'the template': {},
  'many features': { change: RICH },
  'a user namespace': {
    change: (config) => {
      setUserNamespace(config);
    },
  },
};

live('explain', async (t, rig) => {
  await t.test('prints every step with its label, without root', async (t) => {
    const bundle = rig.bundle({ change: RICH });
    chmodSync(rig.directory, 0o755);
    const asRoot = await rig.tsrun(['explain', '--bundle', bundle]);
    expectSuccess(t, asRoot, 'explain');
    const asNobody = await rig.tsrun(['explain', '--bundle', bundle], { uid: 65534 });
    expectSuccess(t, { ...asNobody, stderr: '' }, 'explain as nobody');
    for (const { stdout } of [asRoot, asNobody]) {
      t.match(stdout, /^cgroup\n/);
      const steps = stdout.split('\n').filter((line) => /^ +\d+ {2}/.test(line));
      t.ok(steps.length > 100, `${steps.length} steps`);
      t.strictSame(
        steps.filter((line) => !/ # \S/.test(line)),
        [],
        'each has a label',
      );
      t.match(stdout, /pivot_root\("\.", "\."\).*# make the rootfs the root {2}\(\/root\/path\)/);
      t.match(stdout, /execve\("\/usr\/local\/sbin\/true"/);
    }
    const { stdout } = await rig.tsrun(['explain', '--json', '--bundle', bundle]);
    const { programs } = JSON.parse(stdout) as Explanation;
    t.equal(
      programs.flatMap(({ steps }) => steps).length,
      asRoot.stdout.split('\n').filter((line) => /^ +\d+ {2}/.test(line)).length,
      'JSON has the same steps',
    );
    t.ok(programs.every(({ steps }) => steps.every((step) => step.label !== '' && ('call' in step || 'if' in step))));
    t.strictSame(rig.leftovers(), [], 'it makes nothing');
  });

  await t.test('what `run` executes is what `explain` prints', { skip: missingTools('strace') }, async (t) => {
    for (const [name, options] of Object.entries(BUNDLES)) {
      const bundle = rig.bundle({ args: ['/bin/true'], ...options });
      const id = rig.id('traced');
      const explained = await rig.tsrun(['explain', '--json', '--bundle', bundle, id]);
      expectSuccess(t, explained, 'explain');
      const { programs } = JSON.parse(explained.stdout) as Explanation;
      const log = rig.fresh('strace');
      // What waits in the foreground lends its own descriptors, which are left as they are; that is not create's way.
      const result = await rig.tsrun(['run', '--detach', '--bundle', bundle, id], {
        under: ['strace', '-f', '-qq', '-s', '4096', '-o', log],
      });
      expectSuccess(t, result, 'run under strace');
      const calls = readTrace(readFileSync(log, 'utf8'));
      const plan = programs.flatMap(({ steps }) => steps);
      const { problems, executed, planned } = comparePlan(calls, plan);
      t.strictSame(problems, [], name);
      t.ok(executed > 80, `${name}: ${executed} calls of ${planned} planned`);
      const without = (call: string): PlanStep[] => plan.filter((step) => step.call !== call);
      for (const call of ['setsid', 'pivot_root', 'execve'])
        t.not(comparePlan(calls, without(call)).problems.length, 0, `a plan without ${call} is told apart`);
      const fewer = calls.filter(({ name }) => name !== 'pivot_root');
      t.not(comparePlan(fewer, plan).problems.length, 0, 'and so is a run without a planned call');
      t.comment(`${name}: ${executed} of ${planned} planned calls were made, in ${programs.length} programs`);
    }
  });
});
