import t from 'tap';
import { readStats } from '../../../src/cgroup/stats/stats.ts';
import { usageOf, type Sample } from '../../../src/plan/cgroup/usage.ts';

const nothing = readStats({ directories: [] });

function sample(atMs: number, total: number | bigint, raw: Readonly<Record<string, number>> = {}): Sample {
  const { cpu, memory } = nothing;
  return {
    atMs,
    stats: {
      ...nothing,
      cpu: { ...cpu, usage: { ...cpu.usage, total } },
      memory: { ...memory, raw, usage: { limit: 2n ** 64n - 1n, usage: 1000, max: 0, failcnt: 0 } },
      blkio: {
        ...nothing.blkio,
        serviceBytes: [
          { major: 8, minor: 0, op: 'Read', value: 7 },
          { major: 8, minor: 16, op: 'Read', value: 1n },
          { major: 8, minor: 0, op: 'Write', value: 5 },
          { major: 8, minor: 0, op: 'Total', value: 12 },
        ],
      },
      networkInterfaces: [
        { rxBytes: 1, txBytes: 10 },
        { rxBytes: 2, txBytes: 20 },
      ],
    },
  };
}

const host = { hostMemory: 5000 };

t.test('usageOf() counts processors between two looks', (t) => {
  t.equal(usageOf(sample(0, 5), undefined, host).cpuPercent, undefined);
  t.equal(usageOf(sample(1000, 3e9), sample(0, 1e9), host).cpuPercent, 200);
  t.equal(usageOf(sample(1000, 1e9), sample(1000, 1e9), host).cpuPercent, 0, 'no time has passed');
  t.equal(usageOf(sample(1000, 1), sample(0, 5), host).cpuPercent, 0, 'another container has the name');
  t.equal(usageOf(sample(1000, 2n ** 60n + 10n ** 9n), sample(0, 2n ** 60n), host).cpuPercent, 100);
  t.end();
});

t.test('usageOf() leaves the idle page cache out, and takes the limit of the host where there is none', (t) => {
  const { memory, memoryLimit } = usageOf(sample(0, 0, { inactive_file: 400 }), undefined, host);
  t.strictSame({ memory, memoryLimit }, { memory: 600, memoryLimit: 5000 });
  t.equal(usageOf(sample(0, 0, { inactive_file: 1, total_inactive_file: 300 }), undefined, host).memory, 700);
  t.equal(usageOf(sample(0, 0, { inactive_file: 4000 }), undefined, host).memory, 0);
  t.end();
});

t.test('usageOf() adds devices and interfaces up', (t) => {
  const { blockRead, blockWritten, networkReceived, networkSent } = usageOf(sample(0, 0), undefined, host);
  t.strictSame([blockRead, blockWritten, networkReceived, networkSent], [8, 5, 3, 30]);
  t.end();
});
