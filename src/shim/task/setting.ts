import type { Runtime } from '../../library/runtime.ts';
import type { Log } from '../../log.ts';
import type { BundleRecord } from './bundle-record.ts';
import type { Publisher } from './publisher.ts';
import type { Reaper } from './reaper.ts';

/** What all containers of a shim have in common. */
export interface Setting {
  /** containerd's, not the kernel's. */
  readonly namespace: string;
  readonly publisher: Publisher;
  readonly reaper: Reaper;
  readonly log: Log;
  /** The runtime that keeps its containers in a place. */
  readonly runtimeAt: (place: BundleRecord) => Runtime;
}
