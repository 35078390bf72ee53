import type { ContainerStatus, RuntimeOptions } from './store/options.ts';
import { readContainerStatus } from './store/read-status.ts';

/** The container as it is at this moment (runtime.md, "Query State"). Errors: `id`, `not-found`, `state`. */
export function readStatus({ root }: RuntimeOptions, id: string): ContainerStatus {
  return readContainerStatus(root, id);
}
