import t from 'tap';
import type { MemoryPolicy } from '../../../src/spec/generated/config.ts';
import { checkMemoryPolicyFlags, checkMemoryPolicyNodes } from '../../../src/spec/rules/memory-policy.ts';
import { checkRows } from './rows.ts';

const withPolicy = (memoryPolicy: MemoryPolicy) => ({ linux: { memoryPolicy } });
const base = '/linux/memoryPolicy';

checkRows(t, checkMemoryPolicyNodes, {
  accepted: [
    {},
    withPolicy({ mode: 'MPOL_DEFAULT' }),
    withPolicy({ mode: 'MPOL_LOCAL', nodes: '' }),
    withPolicy({ mode: 'MPOL_PREFERRED' }),
    withPolicy({ mode: 'MPOL_BIND', nodes: '0-1' }),
    { linux: { memoryPolicy: { mode: 'MPOL_BIND', nodes: undefined } } },
  ],
  refused: [
    [withPolicy({ mode: 'MPOL_DEFAULT', nodes: '0' }), `${base}/nodes`, 'is "0", wanted none'],
    [withPolicy({ mode: 'MPOL_INTERLEAVE', nodes: ' ' }), base, 'has no nodes'],
  ],
});

checkRows(t, checkMemoryPolicyFlags, {
  accepted: [
    {},
    withPolicy({ mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_NUMA_BALANCING', 'MPOL_F_STATIC_NODES'] }),
    withPolicy({ mode: 'MPOL_PREFERRED', nodes: '0', flags: ['MPOL_F_RELATIVE_NODES'] }),
    withPolicy({ mode: 'MPOL_DEFAULT', flags: [] }),
  ],
  refused: [
    [
      withPolicy({ mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES', 'MPOL_F_RELATIVE_NODES'] }),
      `${base}/flags`,
      'at most one of them',
    ],
    [
      withPolicy({ mode: 'MPOL_LOCAL', flags: ['MPOL_F_NUMA_BALANCING'] }),
      `${base}/flags`,
      'wanted the mode "MPOL_BIND"',
    ],
    [withPolicy({ mode: 'MPOL_LOCAL', flags: ['MPOL_F_STATIC_NODES'] }), `${base}/flags`, 'a flag about nodes'],
    [withPolicy({ mode: 'MPOL_PREFERRED', flags: ['MPOL_F_STATIC_NODES'] }), `${base}/flags`, 'without nodes'],
  ],
});
