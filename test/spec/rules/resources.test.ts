import t from 'tap';
import type { Resources } from '../../../src/spec/generated/config.ts';
import {
  checkBlockIo,
  checkCgroupsPath,
  checkCpu,
  checkHugepages,
  checkMemory,
  checkRdma,
  checkUnified,
} from '../../../src/spec/rules/resources.ts';
import { validateResources } from '../../../src/spec/validate.ts';
import { checkRows } from './rows.ts';

const withResources = (resources: Resources) => ({ linux: { resources } });
const base = '/linux/resources';

checkRows(t, checkCgroupsPath, {
  accepted: [{}, { linux: { cgroupsPath: '/a/b..c' } }, { linux: { cgroupsPath: 'system.slice:runc:a' } }],
  refused: [[{ linux: { cgroupsPath: '../../a' } }, '/linux/cgroupsPath', 'wanted a path without ".."']],
});

checkRows(t, checkMemory, {
  accepted: [
    {},
    withResources({ memory: { swap: -1 } }),
    withResources({ memory: { limit: 0, swap: 0 } }),
    withResources({ memory: { limit: -1, swap: 5 } }),
    withResources({ memory: { limit: 5, swap: 5n } }),
    { linux: { resources: { memory: { limit: undefined, swap: 5 } } } },
  ],
  refused: [
    [withResources({ memory: { swap: 5 } }), `${base}/memory/swap`, 'unable to set swap limit without memory limit'],
    [
      withResources({ memory: { limit: 2n ** 60n, swap: 5 } }),
      `${base}/memory/swap`,
      'wanted at least 1152921504606846976',
    ],
  ],
});

checkRows(t, checkCpu, {
  accepted: [
    {},
    withResources({ cpu: { shares: 0, quota: -1, period: 0, burst: 5 } }),
    withResources({ cpu: { shares: 2n, quota: 1000n, period: 1000000, burst: 1000 } }),
    withResources({ cpu: { realtimeRuntime: 1, realtimePeriod: 1 } }),
  ],
  refused: [
    [withResources({ cpu: { shares: 1n } }), `${base}/cpu/shares`, 'wanted 0 or at least 2'],
    [withResources({ cpu: { quota: 999 } }), `${base}/cpu/quota`, 'wanted at least 1000'],
    [withResources({ cpu: { period: 999 } }), `${base}/cpu/period`, 'wanted 1000 to 1000000'],
    [withResources({ cpu: { period: 1000001n } }), `${base}/cpu/period`, 'wanted 1000 to 1000000'],
    [withResources({ cpu: { quota: 1000, burst: 1001 } }), `${base}/cpu/burst`, 'at most the quota 1000'],
    [withResources({ cpu: { realtimeRuntime: 2, realtimePeriod: 1 } }), `${base}/cpu/realtimeRuntime`, 'at most'],
  ],
});

const disk = { major: 8, minor: 0 };
checkRows(t, checkBlockIo, {
  accepted: [{}, withResources({ blockIO: { weight: 0, leafWeight: 10, weightDevice: [{ ...disk, weight: 1000 }] } })],
  refused: [
    [withResources({ blockIO: { weight: 9 } }), `${base}/blockIO/weight`, 'wanted 10 to 1000'],
    [withResources({ blockIO: { weightDevice: [disk] } }), `${base}/blockIO/weightDevice/0`, 'lacks the properties'],
    [
      withResources({ blockIO: { weightDevice: [{ ...disk, leafWeight: 1 }] } }),
      `${base}/blockIO/weightDevice/0/leafWeight`,
      'wanted 10 to 1000',
    ],
  ],
});

const huge = { pageSize: '2MB', limit: 1 };
checkRows(t, checkHugepages, {
  accepted: [{}, withResources({ hugepageLimits: [huge, { ...huge, pageSize: '1GB' }] })],
  refused: [[withResources({ hugepageLimits: [huge, huge] }), `${base}/hugepageLimits/1`, 'a second limit for "2MB"']],
});

checkRows(t, checkRdma, {
  accepted: [{}, withResources({ rdma: { a: { hcaHandles: 1 }, b: { hcaObjects: 0 } } })],
  refused: [[withResources({ rdma: { mlx5: {} } }), `${base}/rdma/mlx5`, 'wanted at least one']],
});

checkRows(t, checkUnified, {
  accepted: [{}, withResources({ unified: { 'memory.high': 'max', 'hugetlb.2MB.max': '1' } })],
  refused: [
    [withResources({ unified: { '../cgroup.procs': '1' } }), `${base}/unified/..~1cgroup.procs`, 'without "/"'],
    [withResources({ unified: { '..': '1' } }), `${base}/unified/..`, 'wanted a file name'],
    [withResources({ unified: { memory: '1' } }), `${base}/unified/memory`, 'wanted a file name'],
    [withResources({ unified: { 'memory.max/..': '1' } }), `${base}/unified/memory.max~1..`, 'wanted a file name'],
    [withResources({ unified: { 'cgroup.procs': '1' } }), `${base}/unified/cgroup.procs`, 'wanted a limit'],
  ],
});

t.test('validateResources() refuses values that no machine could apply, so that no plan has to', (t) => {
  const pointers = (resources: unknown) => validateResources(resources).map(({ pointer }) => pointer);
  t.strictSame(pointers({ memory: { limit: -2 } }), ['/memory/limit']);
  t.strictSame(pointers({ memory: { swappiness: 101 } }), ['/memory/swappiness']);
  const devices = [
    { allow: true, access: 'rx' },
    { allow: true, major: -2, minor: 2 ** 32, access: 'r' },
  ];
  const wrong = ['0/access', '1/major', '1/minor'].map((place) => `/devices/${place}`);
  t.strictSame(pointers({ devices }).sort(), wrong);
  t.end();
});
