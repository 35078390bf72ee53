import { removeContainer } from './build/remove-container.ts';
import type { Runtime } from './caller/caller.ts';
import type { DeleteOptions } from './store/options.ts';
import { forMatchingIds } from './store/select-ids.ts';

/**
 * Removes what create made (runtime.md, "Delete"): processes, cgroup, state directory; then the poststop hooks run.
 *
 * Only a stopped container is deleted, and one that is created and was never started, which no other runtime refuses: `strict`
 * does, as the specification says. `force` ends any other one first, removes a state directory that a killed tsrun left
 * half-made or that is damaged, and finds nothing wrong with a container that does not exist.
 * Errors: `not-found`, `status`, `cgroup`, `state`. A poststop hook that fails is a warning.
 */
export async function deleteContainer(runtime: Runtime, options: DeleteOptions): Promise<void> {
  const { id, isPattern = false } = options;
  if (!isPattern) return removeContainer(runtime, options);
  await forMatchingIds(runtime, id, (match) => removeContainer(runtime, { ...options, id: match }));
}
