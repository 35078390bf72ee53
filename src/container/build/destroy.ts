import { openManagedCgroup } from '../../cgroup/select.ts';
import { TsrunError } from '../../errors.ts';
import type { Config } from '../../spec/generated/config.ts';
import { endProcess } from './end-process.ts';
import { runPoststop } from '../hooks/poststop.ts';
import { removeResctrl } from './resctrl.ts';
import type { Runtime } from '../caller/caller.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { ContainerRecord } from '../store/record.ts';

const SIGKILL = 9;

/**
 * Undoes what create made (runtime.md, "Lifecycle", steps 12 and 13): processes, cgroup, network, state directory; then the poststop
 * hooks run. The caller holds the container's lock.
 *
 * `kill` ends every process of the container; without it one that is left makes it fail. Errors: `status`, `cgroup`, `state`.
 */
export async function destroyContainer(
  directory: StateDirectory,
  record: ContainerRecord,
  { kill, runtime }: { readonly kill: boolean; readonly runtime: Runtime },
): Promise<void> {
  const config = await readConfigWithPoststop(directory, runtime);
  if (config !== undefined) runtime.caller.review?.(config, 'delete');
  const isConnected = record.bridge !== undefined || record.cni !== undefined;
  if (isConnected) runtime.caller.refuseHelpers?.();
  const cgroup = openManagedCgroup(record.cgroup, runtime.caller.buses);
  if (kill) await cgroup.killAll(SIGKILL);
  if (record.init !== undefined) await endProcess(record.init);
  await cgroup.remove({ kill });
  if (isConnected) {
    const { disconnect } = await import('../network/connect.ts');
    await disconnect(record);
  }
  if (record.resctrl !== undefined) removeResctrl(record.resctrl);
  if (record.rootfsCover !== undefined) {
    const { uncoverRootfs } = await import('./rootfs-cover.ts');
    uncoverRootfs(record.rootfsCover, runtime.caller);
  }
  if (record.layer !== undefined) {
    const { removeLayer } = await import('../layers/layer.ts');
    await removeLayer(record.layer, directory);
  }
  directory.remove();
  await runPoststop(record, config, runtime);
}

/**
 * The configuration, only where there may be hooks to run: most containers have none, and reading it takes longer than all the
 * rest. One whose creation was cut short may have no configuration yet.
 */
async function readConfigWithPoststop(directory: StateDirectory, { caller }: Runtime): Promise<Config | undefined> {
  try {
    const text = directory.readConfigText() ?? '';
    // The name of a member may be written with escapes.
    if (!text.includes('poststop') && !text.includes('\\u')) return undefined;
    const { readSavedConfig } = await import('../store/saved-config.ts');
    return readSavedConfig(directory, caller.loadConfig);
  } catch (error) {
    if (error instanceof TsrunError) return undefined;
    throw error;
  }
}
