import type { Config } from '../spec/generated/config.ts';
import { hookState, type HookStateSource } from './hook-state.ts';
import { runHooks } from './hooks.ts';
import type { Runtime } from './runtime.ts';

/** Runs the poststop hooks of a container that is gone. One that fails is a warning, and the others still run (config.md, "Poststop"). */
export async function runPoststop(
  source: HookStateSource,
  config: Config | undefined,
  runtime: Pick<Runtime, 'log' | 'openFiles'>,
): Promise<void> {
  const state = { ...hookState(source, 'stopped'), pid: 0 };
  for (const hook of config?.hooks?.poststop ?? []) {
    try {
      await runHooks('poststop', [hook], state, runtime);
    } catch (error) {
      runtime.log.warning(error instanceof Error ? error.message : String(error));
    }
  }
}
