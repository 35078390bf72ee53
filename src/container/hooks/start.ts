import { startContainerSetting } from '../../plan/container-hook.ts';
import { descriptorNumbers } from '../../plan/base/context.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import type { Conversation } from '../../process/conversation.ts';
import type { Config } from '../../spec/generated/config.ts';
import { runContainerHooks } from './container.ts';
import { hookState } from './state.ts';
import { runHooks } from './runtime.ts';
import type { Runtime } from '../caller/caller.ts';
import type { ContainerRecord } from '../store/record.ts';

/** The created container whose program is about to start, as it is remembered. */
export interface StartContainerHooks {
  readonly record: ContainerRecord;
  readonly config: Config;
  readonly seccomp: CompiledSeccomp | undefined;
}

/** Runs the startContainer hooks in front of the program (runtime.md, "Lifecycle", step 7). Errors: `hook`, `init`. */
export async function runStartContainer(
  runtime: Runtime,
  conversation: Conversation,
  { record, config, seccomp }: StartContainerHooks,
): Promise<void> {
  const hooks = config.hooks?.startContainer;
  if (hooks === undefined || hooks.length === 0) return;
  const process = config.process ?? { cwd: '/' };
  const setting = startContainerSetting(descriptorNumbers(record.preserveFds), {
    process,
    home: record.home ?? '/',
    ...(seccomp === undefined ? {} : { seccomp }),
  });
  const state = hookState(record, 'created');
  await runContainerHooks(conversation, { setting, hooks, state, log: runtime.log });
}

/** Runs the poststart hooks when the program runs (runtime.md, "Lifecycle", step 9). Errors: `hook`. */
export async function runPoststart(runtime: Runtime, record: ContainerRecord, config: Config): Promise<void> {
  const state = { ...hookState(record, 'running'), pid: record.init?.pid ?? 0 };
  await runHooks('poststart', config.hooks?.poststart, state, { directory: record.bundle, runtime });
}
