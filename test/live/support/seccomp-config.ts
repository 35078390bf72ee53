import type { Seccomp } from '../../../src/spec/generated/config.ts';
import type { BaseConfig } from './rig.ts';

/** A change of the config that gives it a seccomp profile, and other changes after that. */
export const withFilter =
  (seccomp: Seccomp, ...changes: ((config: BaseConfig) => unknown)[]) =>
  (config: BaseConfig): void => {
    config.linux.seccomp = seccomp;
    for (const change of changes) change(config);
  };
