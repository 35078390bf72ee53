import type { Capabilities, Config, Process } from '../spec/generated/config.ts';
import { loadProcess } from '../spec/validate.ts';

/** A user and a group as somebody names them: a number, or a name in the container's /etc/passwd and /etc/group. */
export interface NamedUser {
  readonly uid: number | string;
  readonly gid?: number | string;
}

/** The same in numbers. A user that was named by a name has also the groups that list it. */
export interface FoundUser {
  readonly uid: number;
  readonly gid?: number;
  /** In place of those of the container's own process. */
  readonly additionalGids?: readonly number[];
}

/** How the process of `exec` differs from the container's own. */
export type ProcessChange<User = NamedUser> =
  | {
      readonly kind: 'document';
      /** Text of a JSON document with a whole process object. */
      readonly text: string;
      readonly path: string;
    }
  | {
      readonly kind: 'options';
      readonly args: readonly string[];
      /** Entries `NAME=value`, added to the environment. */
      readonly env: readonly string[];
      readonly cwd?: string;
      readonly terminal: boolean;
      readonly user?: User;
      readonly additionalGids: readonly number[];
      readonly capabilities: readonly string[];
      readonly noNewPrivileges?: boolean;
      readonly apparmorProfile?: string;
      readonly selinuxLabel?: string;
    };

/**
 * The process of an exec: a document of its own, or the container's process with what the command line changes.
 *
 * The container's process is the one that was saved when it was created. Errors: `config` for a document that is not valid.
 */
export function execProcess(config: Config, change: ProcessChange<FoundUser>): Process {
  if (change.kind === 'document') return withThoseOfContainer(loadProcess(change.text, change.path), config.process);
  const base: Process = config.process ?? { cwd: '/' };
  // Limits and scheduling of the container's program hold for every process of it; its terminal and home do not.
  const { consoleSize: _consoleSize, ...kept } = base;
  return {
    ...kept,
    args: [...change.args],
    env: [...(base.env ?? []), ...change.env],
    terminal: change.terminal,
    cwd: change.cwd ?? base.cwd,
    user: userOf(base, change),
    ...(change.capabilities.length === 0
      ? {}
      : { capabilities: addCapabilities(base.capabilities, change.capabilities) }),
    ...(change.noNewPrivileges === undefined ? {} : { noNewPrivileges: change.noNewPrivileges }),
    ...(change.apparmorProfile === undefined ? {} : { apparmorProfile: change.apparmorProfile }),
    ...(change.selinuxLabel === undefined ? {} : { selinuxLabel: change.selinuxLabel }),
  };
}

/**
 * What a document leaves open is as it is for the container's own process, as runc takes it from the saved config: whoever enters
 * gets no more than those who are inside. An empty label, profile or list of limits is one that is left open.
 *
 * Not so `noNewPrivileges`, which callers written in Go leave out for `false`; nor what says who runs what and where (arguments,
 * environment, directory, terminal, user and groups).
 */
function withThoseOfContainer(document: Process, own: Process = { cwd: '/' }): Process {
  const umask = document.user?.umask ?? own.user?.umask;
  const isOpen = (value: unknown): boolean => value === undefined || value === '' || isEmptyList(value);
  const kept = INHERITED.filter((name) => own[name] !== undefined && isOpen(document[name]));
  return {
    ...document,
    ...Object.fromEntries(kept.map((name) => [name, own[name]])),
    ...(umask === undefined ? {} : { user: { ...document.user, umask } }),
  };
}

const INHERITED = [
  'capabilities',
  'rlimits',
  'oomScoreAdj',
  'apparmorProfile',
  'selinuxLabel',
  'scheduler',
  'ioPriority',
  'execCPUAffinity',
] as const satisfies readonly (keyof Process)[];

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function userOf(base: Process, change: ProcessChange<FoundUser> & { kind: 'options' }): NonNullable<Process['user']> {
  const user = { ...base.user };
  if (change.user !== undefined) {
    user.uid = change.user.uid;
    // As with runc a user alone keeps the group of the container's own process.
    if (change.user.gid !== undefined) user.gid = change.user.gid;
    if (change.user.additionalGids !== undefined) user.additionalGids = [...change.user.additionalGids];
  }
  if (change.additionalGids.length > 0)
    user.additionalGids = [...(user.additionalGids ?? []), ...change.additionalGids];
  return user;
}

/** Ambient and inheritable stay as they are, unless the container uses inheritable ones: then the ambient set grows too, as in runc. */
function addCapabilities(base: Capabilities = {}, added: readonly string[]): Capabilities {
  const join = (set: readonly string[] | undefined): string[] => [...new Set([...(set ?? []), ...added])];
  const usesInheritable = (base.inheritable ?? []).length > 0;
  return {
    ...base,
    bounding: join(base.bounding),
    effective: join(base.effective),
    permitted: join(base.permitted),
    ...(usesInheritable ? { inheritable: join(base.inheritable), ambient: join(base.ambient) } : {}),
  };
}
