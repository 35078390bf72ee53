import type { State } from '../../spec/generated/state.ts';
import { specVersionMax } from '../../spec/versions.ts';

/** What the state of a container says whatever its status is: the members of a ContainerRecord that hooks are told. */
export interface HookStateSource {
  readonly id: string;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** What a hook reads on its standard input (runtime.md, "State"), but for the pid, which depends on where the hook runs. */
export function hookState({ id, bundle, annotations }: HookStateSource, status: State['status']): Omit<State, 'pid'> {
  return {
    ociVersion: specVersionMax,
    id,
    status,
    bundle,
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}
