import type { CgroupManager, Cgroup, CgroupReference } from './manager.ts';

const REFERENCE: CgroupReference = { manager: 'disabled', version: 'none', directories: [] };

/** The container stays in the cgroup of whoever started it; nothing is limited, and nobody is found through a cgroup. */
export const disabledManager: CgroupManager = { preview: () => REFERENCE, make: () => nothing, open: () => nothing };

const nothing: Cgroup = {
  reference: REFERENCE,
  openDirectory: () => undefined,
  attach: () => Promise.resolve(),
  announceLimits: () => Promise.resolve(),
  applyLimits: () => Promise.resolve(),
  applyDevices: () => undefined,
  processes: () => [],
  isFrozen: () => false,
  freeze: () => Promise.resolve(),
  thaw: () => Promise.resolve(),
  killAll: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};
