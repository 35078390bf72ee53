import { lstatSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { RuntimeOptions } from '../container/store/options.ts';

const NAME = 'tsrun-planner';

/** Where the planner of this user listens, as launchers look for it. Errors: `host` without a place for one. */
export function plannerDirectory(environment: NonNullable<RuntimeOptions['environment']>): string {
  if (process.geteuid?.() === 0) return `/run/${NAME}`;
  const { XDG_RUNTIME_DIR: base = '' } = environment;
  if (base.startsWith('/')) return `${base}/${NAME}`;
  throw new TsrunError(
    'host',
    'find the place of the planner: XDG_RUNTIME_DIR is no absolute path, wanted the directory of a login session',
  );
}

/** Whoever can write there is obeyed by every command. Errors: `host`. */
export function requireOwnDirectory(directory: string): void {
  const stat = lstatSync(directory);
  const isOwn = stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0;
  if (isOwn) return;
  const found = `a ${stat.isDirectory() ? 'directory' : 'file'} of user ${stat.uid} with mode 0${(stat.mode & 0o777).toString(8)}`;
  throw new TsrunError(
    'host',
    `use ${JSON.stringify(directory)} for the planner: is ${found}, wanted a directory of this user with mode 0700`,
  );
}
