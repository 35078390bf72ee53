import t from 'tap';
import { planMemoryPolicy } from '../../../src/plan/process/memory-policy.ts';
import type { MemoryPolicy } from '../../../src/spec/generated/config.ts';
import { makeContext, printSteps } from '../fixtures.ts';

function plan(memoryPolicy: MemoryPolicy) {
  return planMemoryPolicy(makeContext({ config: { linux: { memoryPolicy } } }));
}

t.test('planMemoryPolicy() passes mode, flags and a mask of nodes', (t) => {
  t.same(planMemoryPolicy(makeContext()), []);
  const steps = plan({ mode: 'MPOL_INTERLEAVE', nodes: '0-1,64', flags: ['MPOL_F_STATIC_NODES'] });
  t.equal(
    printSteps(steps),
    `
   0  set_mempolicy(MPOL_INTERLEAVE|MPOL_F_STATIC_NODES, nodes 0-1,64, 129)  # set memory policy "MPOL_INTERLEAVE|MPOL_F_STATIC_NODES" for nodes "0-1,64"  (/linux/memoryPolicy)
`,
  );
  t.match(steps, [
    { operands: [3 | (1 << 15), { bytes: Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0) }, 129] },
  ]);
  t.end();
});

t.test('planMemoryPolicy() passes no mask without nodes', (t) => {
  t.equal(
    printSteps(plan({ mode: 'MPOL_LOCAL' })),
    `
   0  set_mempolicy(MPOL_LOCAL, NULL, 0)  # set memory policy "MPOL_LOCAL"  (/linux/memoryPolicy)
`,
  );
  t.match(plan({ mode: 'MPOL_PREFERRED', nodes: ' ' }), [{ operands: [1, 0, 0] }]);
  t.end();
});

t.test('planMemoryPolicy() refuses nodes that are no list', (t) => {
  t.throws(() => plan({ mode: 'MPOL_BIND', nodes: '1024' }), {
    code: 'config',
    issues: [{ pointer: '/linux/memoryPolicy/nodes' }],
  });
  t.end();
});
