import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readArch } from '../../host/facts.ts';
import { LAYER_NAMES } from '../../plan/base/layers.ts';
import type { IdMapPlan } from '../../plan/namespaces/id-maps.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { emptyTree } from './empty-tree.ts';

/** So many names are removed by one process: all of them have to fit in its arguments. */
const NAMES_AT_ONCE = 64;
const KEPT: readonly string[] = [LAYER_NAMES.owner, LAYER_NAMES.maps];

/**
 * Keeps in a layer whose its files are going to be, before there are any. It is there as long as they are, which the record of the
 * container is not. Errors: those of Node.
 */
export function keepMaps(layer: OwnedFd, maps: IdMapPlan): void {
  writeFileSync(mapsFile(layer), JSON.stringify(maps), { mode: 0o600 });
}

/**
 * Removes all of a layer but the link that says whose it is. Files of subordinate ids in directories of theirs, which the user itself
 * may not touch, are removed as root of a user namespace that has these ids. Errors: `host`.
 */
export async function emptyLayer(layer: OwnedFd, hostPath: string): Promise<void> {
  try {
    await emptyTree(layer, { but: KEPT });
  } catch (error) {
    const maps = hasErrno(error, 'EACCES', 'EPERM') ? readMaps(layer) : undefined;
    if (maps === undefined) throw error;
    await removeAsMapped(layer, { maps, hostPath });
  }
  await emptyTree(layer, { but: [LAYER_NAMES.owner] });
}

async function removeAsMapped(
  layer: OwnedFd,
  { maps, hostPath }: { readonly maps: IdMapPlan; readonly hostPath: string },
): Promise<void> {
  // Few layers need it.
  const { removeAsOwners } = await import('./remove-as-owners.ts');
  let before: string | undefined;
  for (let names = namesIn(layer); names[0] !== undefined && names[0] !== before; names = namesIn(layer)) {
    before = names[0];
    await removeAsOwners(layer, { names, maps, arch: readArch(), fallbackDirectory: hostPath });
  }
}

/** What is in a layer has names of tsrun's, and those of directories that have been moved up. */
function namesIn(layer: OwnedFd): string[] {
  const names = readdirSync(descriptorPath(layer.number)).filter((name) => !KEPT.includes(name));
  return names.sort().slice(0, NAMES_AT_ONCE);
}

/** Undefined where there are none, or a tsrun that was killed has written half of them: then no container has been there. */
function readMaps(layer: OwnedFd): IdMapPlan | undefined {
  try {
    return JSON.parse(readFileSync(mapsFile(layer), 'utf8')) as IdMapPlan;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function mapsFile({ number }: OwnedFd): string {
  return `${descriptorPath(number)}/${LAYER_NAMES.maps}`;
}
