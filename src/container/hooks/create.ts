import type { HookSetting } from '../../plan/container-hook.ts';
import type { Conversation } from '../../process/conversation.ts';
import type { Config } from '../../spec/generated/config.ts';
import { runContainerHooks } from './container.ts';
import { hookState, type HookStateSource } from './state.ts';
import { runHooks } from './runtime.ts';
import type { Runtime } from '../caller/caller.ts';

/** What the three kinds of hooks of create have in common. */
export interface CreateHooks {
  readonly config: Config;
  readonly source: HookStateSource;
  /** Init's pid as this process sees it. */
  readonly pid: number;
  readonly setting: HookSetting;
}

/**
 * Runs the hooks of create, which belong between the mounts and pivot_root: prestart, createRuntime, createContainer.
 *
 * runtime.md, "Lifecycle", steps 3 to 5, and "State": a container is `creating` in step 2, and `created` after it.
 * Errors: `hook`, `init`.
 */
export async function runCreateHooks(runtime: Runtime, conversation: Conversation, hooks: CreateHooks): Promise<void> {
  const { config, source, pid, setting } = hooks;
  const surroundings = { directory: source.bundle, runtime };
  const state = hookState(source, 'created');
  await runHooks('prestart', config.hooks?.prestart, { ...state, pid }, surroundings);
  await runHooks('createRuntime', config.hooks?.createRuntime, { ...state, pid }, surroundings);
  await runContainerHooks(conversation, { setting, hooks: config.hooks?.createContainer, state, log: runtime.log });
}
