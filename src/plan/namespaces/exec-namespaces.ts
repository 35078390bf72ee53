import { TsrunError } from '../../errors.ts';
import type { NamespaceType } from '../../spec/generated/config.ts';
import { wording } from '../../util/wording.ts';

/** File name below /proc/PID/ns -> type in config.json. */
const NAMESPACE_TYPES: Readonly<Record<string, NamespaceType>> = {
  user: 'user',
  pid: 'pid',
  mnt: 'mount',
  net: 'network',
  uts: 'uts',
  ipc: 'ipc',
  cgroup: 'cgroup',
  time: 'time',
};

/** File name below /proc/PID/ns -> inode number as a decimal string. */
export type NamespaceInodes = Readonly<Record<string, string>>;

/**
 * The types of namespaces in which the container's init is and tsrun is not, whether its config names them or init was born there.
 *
 * A process that has ended has none: it must never look like one that shares everything with the host. Throws a TsrunError `status`
 * then.
 */
export function differingNamespaces(theirs: NamespaceInodes, own: NamespaceInodes): NamespaceType[] {
  const files = Object.keys(NAMESPACE_TYPES).filter((file) => own[file] !== undefined);
  if (files.some((file) => theirs[file] === undefined)) throw new TsrunError('status', wording.execStopped);
  return files.flatMap((file) => {
    const type = NAMESPACE_TYPES[file];
    return type === undefined || theirs[file] === own[file] ? [] : [type];
  });
}
