import type { ManagedCgroup } from './cgroup.ts';

/** The container stays in the cgroup of whoever started it; nothing is limited, and nobody is found through a cgroup. */
export const disabledCgroup: ManagedCgroup = {
  reference: { manager: 'disabled', version: 'none', directories: [] },
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
