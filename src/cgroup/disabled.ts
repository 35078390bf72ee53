import type { CgroupDriver, CgroupManager, CgroupReference } from './manager.ts';

const REFERENCE: CgroupReference = { manager: 'disabled', version: 'none', directories: [] };

/** The container stays in the cgroup of whoever started it; nothing is limited, and nobody is found through a cgroup. */
export const disabledDriver: CgroupDriver = { preview: () => REFERENCE, create: () => nothing, open: () => nothing };

const nothing: CgroupManager = {
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
