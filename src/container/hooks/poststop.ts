import type { Config } from '../../spec/generated/config.ts';
import { hookState, type HookStateSource } from './state.ts';
import { runHook, type HookRuntime } from './runtime.ts';

/** Runs the poststop hooks of a container that is gone. One that fails is a warning, and the others still run (config.md, "Poststop"). */
export async function runPoststop(
  source: HookStateSource,
  config: Config | undefined,
  runtime: HookRuntime,
): Promise<void> {
  const surroundings = { directory: source.bundle, runtime };
  const state = { ...hookState(source, 'stopped'), pid: 0 };
  for (const [index, hook] of (config?.hooks?.poststop ?? []).entries()) {
    try {
      await runHook(hook, { kind: 'poststop', index, state, surroundings });
    } catch (error) {
      runtime.log.warning(error instanceof Error ? error.message : String(error));
    }
  }
}
