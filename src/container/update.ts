import { rememberLimits } from '../cgroup/remember.ts';
import { openManagedCgroup } from '../cgroup/select.ts';
import { describeIssues, TsrunError } from '../errors.ts';
import { planContainerUpdate } from '../plan/cgroup/update.ts';
import type { Config, Resources } from '../spec/generated/config.ts';
import { stringifyJson } from '../spec/parse.ts';
import { checkResources, loadResources, validateConfig } from '../spec/validate.ts';
import type { Runtime } from './caller/caller.ts';
import type { UpdateOptions } from './store/options.ts';
import { readSavedConfig } from './store/saved-config.ts';
import { StateDirectory } from './store/directory.ts';
import { currentStatus } from './store/status.ts';
import { wording } from '../util/wording.ts';
import { wrongStatus } from './store/ids.ts';

/**
 * Changes the limits of a container that is created, running or paused, and keeps them in its saved config.
 *
 * What changes names is changed, everything else stays; device rules always stay. When anything fails, the limits are again what
 * they were. Errors: `not-found`; `status` with `container not running`; `config` with pointers into the changes; `unsupported`;
 * `cgroup`; `state`.
 */
export async function updateContainer(runtime: Runtime, options: UpdateOptions): Promise<void> {
  using directory = new StateDirectory(runtime.root, options.id);
  directory.readRecord();
  using _lock = await directory.lock();
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  if (status === 'stopped' || status === 'creating') throw wrongStatus(options.id, wording.notRunning);
  const config = readSavedConfig(directory, runtime.caller.loadConfig);
  requireRdt(config, options);
  const changes = readChanges(options, config.linux?.resources ?? {});
  const { resources, plan, properties, warnings } = planContainerUpdate(record, config, changes);
  for (const warning of warnings) runtime.log.warning(warning);
  const updated = withResources(config, resources);
  const undo = rememberLimits(plan.limits, record.cgroup.directories);
  const cgroup = openManagedCgroup(record.cgroup, runtime.caller.buses);
  try {
    await cgroup.applyLimits(plan, properties.changed);
    directory.writeConfig(stringifyJson(updated, 2));
  } catch (error) {
    const announced = await settle(cgroup.announceLimits(properties.old));
    for (const failure of [...announced, ...undo()]) runtime.log.warning(`put the old limits back: ${failure.message}`);
    throw error;
  }
}

async function settle(action: Promise<void>): Promise<Error[]> {
  try {
    await action;
    return [];
  } catch (error) {
    return [error instanceof Error ? error : new Error(String(error))];
  }
}

function readChanges({ changes }: UpdateOptions, old: Resources): Resources {
  if (changes.kind === 'document') return loadResources(changes.text, changes.name, old);
  checkResources(changes.resources, 'update', old);
  return changes.resources;
}

/** What is saved is read by every later command: it has to be a valid config. Errors: `config`. */
function withResources(config: Config, resources: Resources): Config {
  const updated = { ...config, linux: { ...config.linux, resources } };
  const issues = validateConfig(updated);
  if (issues.length > 0) throw new TsrunError('config', describeIssues('update linux.resources', issues), { issues });
  return updated;
}

/** The schemata of Intel RDT can be changed where the container has a class of its own. Errors: `config`, `unsupported`. */
function requireRdt({ linux }: Config, { l3CacheSchema, memBwSchema }: UpdateOptions): void {
  const [option] = [
    ...(l3CacheSchema === undefined ? [] : ['--l3-cache-schema']),
    ...(memBwSchema === undefined ? [] : ['--mem-bw-schema']),
  ];
  if (option === undefined) return;
  if (linux?.intelRdt === undefined)
    throw new TsrunError('config', `update with ${option}: the container was created without linux.intelRdt`);
  throw new TsrunError('unsupported', `update with ${option}: this version of tsrun cannot change Intel RDT`);
}
