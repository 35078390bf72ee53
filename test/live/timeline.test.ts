import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BundleOptions } from './support/rig.ts';
import { withFilter } from './support/seccomp-config.ts';

interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

function readTrace(file: string): { of: (category: string) => TraceEvent[]; events: readonly TraceEvent[] } {
  const { traceEvents } = JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: TraceEvent[] };
  return { events: traceEvents, of: (category) => traceEvents.filter(({ cat }) => cat === category) };
}

const sum = (events: readonly TraceEvent[]): number => events.reduce((total, { dur }) => total + dur, 0);

/** A filter that ends who asks for the time, as the records of a trace do. */
const withoutClocks = {
  defaultAction: 'SCMP_ACT_ALLOW' as const,
  syscalls: [{ names: ['clock_gettime'], action: 'SCMP_ACT_KILL_PROCESS' as const }],
};

const BUNDLES: Readonly<Record<string, BundleOptions>> = {
  'the template': {},
  'a user and a time namespace': {
    change: (config) => {
      setUserNamespace(config);
      setNamespace(config, 'time');
      config.linux.timeOffsets = { monotonic: { secs: 1000, nanosecs: 0 } };
    },
  },
  'a late filter': { change: withFilter(withoutClocks) },
  'an early filter': {
    change: (config) => {
      withFilter(withoutClocks)(config);
      config.process.noNewPrivileges = false;
      config.process.capabilities = {};
    },
  },
  'many masked paths': {
    change: (config) => {
      config.linux.maskedPaths = Array.from({ length: 500 }, (_, index) => `/absent/${index}`);
    },
  },
};

live('timeline', async (t, rig) => {
  for (const [name, options] of Object.entries(BUNDLES)) {
    await t.test(`--trace has each step of ${name}, in order and inside its program`, async (t) => {
      const file = rig.fresh('trace');
      const bundle = rig.bundle({ args: 'exit 3', ...options });
      const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('traced')], { global: ['--trace', file] });
      t.equal(result.code, 3, result.stderr);
      const { of, events } = readTrace(file);
      const programs = of('program');
      const steps = of('step');
      t.ok(steps.length > 50, `${steps.length} steps`);
      t.ok(
        steps.some(({ args }) => args?.['config.json'] === '/root/path'),
        'steps name their place',
      );
      for (const call of ['clone3', 'pivot_root'])
        t.ok(
          of('kernel').some((event) => event.name === call),
          call,
        );
      for (const program of programs) {
        const inside = events
          .filter(
            ({ cat, ts }) => (cat === 'step' || cat === 'travel') && ts >= program.ts && ts < program.ts + program.dur,
          )
          .sort((a, b) => a.ts - b.ts);
        t.ok(Math.abs(sum(inside) - program.dur) <= program.dur * 0.1, `${program.name}: steps add up`);
      }
      t.ok(
        steps.every(({ dur }) => dur >= 0 && dur < 60e6),
        'no step is measured by another clock',
      );
    });
  }

  await t.test('the parts of a trace add up to the time until the program runs, measured from outside', async (t) => {
    const shares: number[] = [];
    for (let round = 0; round < 5; round++) {
      const [file, out] = [rig.fresh('trace'), rig.fresh('out')];
      mkdirSync(out);
      // Whoever the container's user is.
      chmodSync(out, 0o777);
      const bundle = rig.bundle({
        args: ': > /out/ran',
        change: (config) => {
          config.mounts.push({ destination: '/out', type: 'bind', source: out, options: ['rbind', 'rw'] });
        },
      });
      const began = Date.now();
      const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('measured')], { global: ['--trace', file] });
      expectSuccess(t, result, 'run');
      const tookUs = (statSync(`${out}/ran`).mtimeMs - began) * 1000;
      const { of } = readTrace(file);
      const programs = of('program');
      const inside = of('phase').filter(({ name }) => programs.some((program) => program.name === name));
      t.ok(sum(programs) <= sum(inside) * 1.01, 'programs lie within the phases that wait for them');
      shares.push(sum(of('phase')) / tookUs);
    }
    // A machine with much else to do may begin a process, or its program, when it likes.
    const near = shares.filter((share) => share > 0.9 && share < 1.1);
    t.ok(near.length >= 3, `shares of the time from outside: ${shares.join(' ')}`);
  });

  await t.test('exec has a trace as well, and a failure has what was done before it', async (t) => {
    const id = rig.id('executed');
    expectSuccess(
      t,
      await rig.tsrun(['run', '--detach', '--bundle', rig.bundle({ args: 'exec sleep 1000' }), id]),
      'run',
    );
    const file = rig.fresh('trace');
    const executed = await rig.tsrun(['exec', id, 'sh', '-c', 'exit 4'], { global: ['--trace', file] });
    t.equal(executed.code, 4, executed.stderr);
    t.ok(
      readTrace(file)
        .of('step')
        .some(({ args }) => args?.call === 'setns'),
    );
    const failed = rig.fresh('trace');
    const bundle = rig.bundle({ args: ['/bin/nothing-of-this-name'] });
    expectFailure(t, await rig.tsrun(['run', '--bundle', bundle, rig.id('failing')], { global: ['--trace', failed] }), {
      message: 'no such file or directory',
    });
    t.ok(readTrace(failed).of('step').length > 50);
  });

  await t.test('a trace that cannot be written is said before anything is made', async (t) => {
    const id = rig.id('untraced');
    const file = `${rig.fresh('absent')}/trace`;
    const result = await rig.tsrun(['create', '--bundle', rig.bundle({}), id], { global: ['--trace', file] });
    t.not(result.code, 0);
    t.match(result.stderr, 'open trace file');
    t.notOk(existsSync(file));
    t.not((await rig.tsrun(['state', id])).code, 0, 'there is no container');
  });

  await t.test('--debug tells each phase and step with its time', async (t) => {
    const bundle = rig.bundle({ args: 'true' });
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('told')], { global: ['--debug'] });
    expectSuccess(t, { ...result, stderr: '' }, 'run');
    t.match(result.stderr, /phase \\?"plan\\?": [\d.]+ [um]s/);
    t.match(result.stderr, /step make the rootfs the root: pivot_root, [\d.]+ [um]s \(\/root\/path of config\.json\)/);
    t.notMatch((await rig.tsrun(['run', '--bundle', bundle, rig.id('silent')])).stderr, /phase/);
  });
});
