import { existsSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { ContainerStatus, RuntimeOptions } from './store/options.ts';
import { readContainerStatus } from './store/read-status.ts';
import { listIds } from './store/ids.ts';

/**
 * All containers below the root directory, by id. One that is damaged is a warning and left out.
 *
 * Errors: `state`; with `requireRoot` also when there is no root directory, which otherwise holds no containers.
 */
export function listContainers(
  runtime: RuntimeOptions,
  { requireRoot = false }: { readonly requireRoot?: boolean } = {},
): readonly ContainerStatus[] {
  if (requireRoot && !existsSync(runtime.root)) {
    throw TsrunError.of('state', `list ${JSON.stringify(runtime.root)}`, 'ENOENT');
  }
  return listIds(runtime.root).flatMap((id) => {
    try {
      return [readContainerStatus(runtime.root, id)];
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      // Somebody deletes it at this moment, or its creation was cut short before it had a state.
      if (error.code !== 'not-found') runtime.log.warning(`list container ${JSON.stringify(id)}: ${error.message}`);
      return [];
    }
  });
}
