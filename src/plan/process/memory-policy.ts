import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { MemoryPolicyFlag, MemoryPolicyMode } from '../../spec/generated/config.ts';
import type { PlanContext } from '../base/context.ts';
import { bitMask, parseNumberList } from '../base/number-list.ts';
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../../util/constants.ts';

/** include/uapi/linux/mempolicy.h */
const MODES: Readonly<Record<MemoryPolicyMode, number>> = {
  MPOL_DEFAULT,
  MPOL_PREFERRED,
  MPOL_BIND,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
};
const FLAGS: Readonly<Record<MemoryPolicyFlag, number>> = {
  MPOL_F_STATIC_NODES,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_NUMA_BALANCING,
};
/** MAX_NUMNODES of the largest kernel configuration (NODES_SHIFT=10). */
const MAX_NODES = 1024;

/** config-linux.md, "Memory policy": set_mempolicy(2). Throws a TsrunError `config` when `nodes` is no list of nodes. */
export function planMemoryPolicy({ config }: PlanContext): Step[] {
  const policy = config.linux?.memoryPolicy;
  if (policy === undefined) return [];
  const { mode, nodes = '', flags = [] } = policy;
  const value = flags.reduce((bits, flag) => bits | FLAGS[flag], MODES[mode]);
  const options = {
    label: `set memory policy ${JSON.stringify([mode, ...flags].join('|'))}${nodes === '' ? '' : ` for nodes ${JSON.stringify(nodes)}`}`,
    pointer: '/linux/memoryPolicy',
  };
  if (nodes.trim() === '') return [call('set_mempolicy', [value, 0, 0], options)];
  const mask = bitMask(
    parseNumberList(nodes, { pointer: '/linux/memoryPolicy/nodes', limit: MAX_NODES }),
    `nodes ${nodes}`,
  );
  // The kernel looks at one bit less than it is told: get_nodes() of mm/mempolicy.c.
  return [call('set_mempolicy', [value, mask, mask.bytes.length * 8 + 1], options)];
}
