/** config-linux.md, "Memory policy". The conditions are those of set_mempolicy(2). */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, isDamaged } from './draft.ts';

const base = '/linux/memoryPolicy';
const nodelessModes: ReadonlySet<string> = new Set(['MPOL_DEFAULT', 'MPOL_LOCAL']);

/** Nodes are given where the mode wants some, and nowhere else. */
export function checkMemoryPolicyNodes({ linux }: DraftConfig): Issue[] {
  const policy = linux?.memoryPolicy ?? {};
  const { mode, nodes } = policy;
  if (mode === undefined) return [];
  const hasNodes = nodes !== undefined && nodes.trim() !== '';
  if (nodelessModes.has(mode)) {
    if (!hasNodes) return [];
    return [{ pointer: `${base}/nodes`, message: `is ${quote(nodes)}, wanted none for ${quote(mode)}` }];
  }
  // MPOL_PREFERRED without nodes prefers the node of the CPU that allocates.
  if (hasNodes || mode === 'MPOL_PREFERRED' || isDamaged(policy, 'nodes')) return [];
  return [{ pointer: base, message: `has no nodes, wanted a list such as "0-1" for ${quote(mode)}` }];
}

/** The mode flags fit together and to the mode. */
export function checkMemoryPolicyFlags({ linux }: DraftConfig): Issue[] {
  const policy = linux?.memoryPolicy ?? {};
  const { mode, nodes, flags = [] } = policy;
  if (mode === undefined) return [];
  const pointer = `${base}/flags`;
  const isPlaced = flags.includes('MPOL_F_STATIC_NODES') || flags.includes('MPOL_F_RELATIVE_NODES');
  const issues: Issue[] = [];
  if (flags.includes('MPOL_F_STATIC_NODES') && flags.includes('MPOL_F_RELATIVE_NODES')) {
    issues.push({ pointer, message: 'has MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES, wanted at most one of them' });
  }
  if (flags.includes('MPOL_F_NUMA_BALANCING') && mode !== 'MPOL_BIND' && mode !== 'MPOL_PREFERRED_MANY') {
    issues.push({
      pointer,
      message: `has MPOL_F_NUMA_BALANCING with the mode ${quote(mode)}, wanted the mode "MPOL_BIND"`,
    });
  }
  const isNodeless = nodelessModes.has(mode) || (mode === 'MPOL_PREFERRED' && (nodes ?? '').trim() === '');
  if (isPlaced && isNodeless && !isDamaged(policy, 'nodes')) {
    issues.push({ pointer, message: `has a flag about nodes, wanted none for ${quote(mode)} without nodes` });
  }
  return issues;
}
