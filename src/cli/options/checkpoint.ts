import type { OptionTable } from './table.ts';

/** The options that `checkpoint` and `restore` have in common, for callers to be refused with a reason. */
export const checkpointOptions = {
  'image-path': { type: 'string', placeholder: 'DIR', description: 'where the saved container is' },
  'work-path': { type: 'string', placeholder: 'DIR', description: 'where CRIU works' },
  'tcp-established': { type: 'boolean', description: 'allow open TCP connections' },
  'ext-unix-sk': { type: 'boolean', description: 'allow unix sockets to the outside' },
  'shell-job': { type: 'boolean', description: 'allow a terminal' },
  'file-locks': { type: 'boolean', description: 'handle file locks' },
  'manage-cgroups-mode': { type: 'string', placeholder: 'MODE', description: 'soft, full, strict or ignore' },
  'lazy-pages': { type: 'boolean', description: 'transfer memory on demand' },
  'auto-dedup': { type: 'boolean', description: 'remove what is saved twice' },
  'empty-ns': { type: 'strings', placeholder: 'NAMESPACE', description: 'make a namespace without its content' },
  'network-lock': { type: 'string', placeholder: 'METHOD', description: 'how the network is held' },
} as const satisfies OptionTable;
