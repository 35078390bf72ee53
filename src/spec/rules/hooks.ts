/** config.md, "POSIX-platform Hooks". Absolute paths and timeouts are the schema's. */
import type { Issue } from '../../errors.ts';
import { checkEnvironment } from './process.ts';
import { type DraftConfig, itemsOf } from './draft.ts';

/** Environment entries of hooks are `NAME=value`. */
export function checkHookEnv({ hooks }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const name of hookKinds) {
    for (const [hook, pointer] of itemsOf(hooks?.[name], `/hooks/${name}`)) {
      issues.push(...checkEnvironment(hook.env, `${pointer}/env`));
    }
  }
  return issues;
}

/** The kinds of hooks, in the order of a container's life. */
export const hookKinds = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;
