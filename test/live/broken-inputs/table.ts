import type { Subject } from './row.ts';
import { bundles } from './table/bundles.ts';
import { commands } from './table/commands.ts';
import { executables } from './table/executables.ts';
import { hooks } from './table/hooks.ts';
import { hosts } from './table/hosts.ts';
import { limits } from './table/limits.ts';
import { mounts } from './table/mounts.ts';
import { namespaces } from './table/namespaces.ts';
import { processes } from './table/processes.ts';
import { security } from './table/security.ts';
import { users } from './table/users.ts';

/** Everything that is known to go wrong, by subject; docs/errors.md has a row for each. */
export const table: readonly Subject[] = [
  bundles,
  mounts,
  executables,
  processes,
  namespaces,
  limits,
  security,
  hooks,
  users,
  hosts,
  commands,
];
