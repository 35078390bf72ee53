import t from 'tap';
import { planScheduler } from '../../../src/plan/process/scheduler.ts';
import type { Scheduler } from '../../../src/spec/generated/config.ts';
import { listFailures, makeContext, makeProcess, printSteps } from '../fixtures.ts';

function attributes(scheduler: Scheduler): DataView {
  const [step] = planScheduler(makeContext(), makeProcess({ scheduler }));
  const block = step?.kind === 'call' ? step.operands[1] : undefined;
  if (typeof block !== 'object' || block.kind !== 'block') throw new Error('no struct sched_attr');
  return new DataView(block.bytes.buffer);
}

t.test('planScheduler() does nothing without a scheduler', (t) => {
  t.same(planScheduler(makeContext(), makeProcess()), []);
  t.end();
});

t.test('planScheduler() fills struct sched_attr', (t) => {
  const scheduler = {
    policy: 'SCHED_BATCH',
    nice: -5,
    flags: ['SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_KEEP_PARAMS'],
  } as const;
  const process = makeProcess({ scheduler: { ...scheduler, flags: [...scheduler.flags] } });
  t.equal(
    printSteps(planScheduler(makeContext(), process)),
    `
   0  sched_setattr(0, {SCHED_BATCH, flags=SCHED_FLAG_KEEP_PARAMS|SCHED_FLAG_RESET_ON_FORK, nice=-5, priority=0, runtime=0, deadline=0, period=0}, 0)  # set scheduler "SCHED_BATCH"  (/process/scheduler)
`,
  );
  const view = attributes({ ...scheduler, flags: [...scheduler.flags] });
  t.equal(view.byteLength, 56);
  t.equal(view.getUint32(0, true), 56);
  t.equal(view.getUint32(4, true), 3);
  t.equal(view.getBigUint64(8, true), 0x11n);
  t.equal(view.getInt32(16, true), -5);
  t.end();
});

t.test('planScheduler() passes a static priority, and times in nanoseconds', (t) => {
  t.equal(attributes({ policy: 'SCHED_FIFO', priority: 42 }).getUint32(20, true), 42);
  const deadline = attributes({ policy: 'SCHED_DEADLINE', runtime: 1024n, deadline: 2048, period: 4096 });
  t.same(
    [24, 32, 40].map((at) => deadline.getBigUint64(at, true)),
    [1024n, 2048n, 4096n],
  );
  t.end();
});

t.test('planScheduler() explains why SCHED_DEADLINE fails in a cpuset', (t) => {
  const process = makeProcess({ scheduler: { policy: 'SCHED_DEADLINE' } });
  const context = makeContext({ config: { linux: { resources: { cpu: { cpus: '0' } } } } });
  t.same(listFailures(planScheduler(context, process)), [
    'set scheduler "SCHED_DEADLINE": {errno} (it cannot be used together with linux.resources.cpu.cpus)',
  ]);
  t.same(listFailures(planScheduler(makeContext(), process)), []);
  t.end();
});
