import type { Errno } from '../../util/errno.ts';

/** What is done to the control files of a cgroup, as data; `src/cgroup/apply.ts` carries it out. */

interface WriteBase {
  /** Index into the plan's directories. */
  readonly directory: number;
  /** A cgroup above the container's, relative to the hierarchy's mount point; absent: the container's own. */
  readonly ancestor?: string;
  /** What is being done, in the words of the failure message: `limit memory to 1048576 bytes`. */
  readonly label: string;
  /** JSON pointer into config.json of the property that asked for it; absent: tsrun needs it for itself. */
  readonly pointer?: string;
}

/** Writes a value into a control file, line by line. */
export interface ValueWrite extends WriteBase {
  readonly kind: 'value';
  readonly file: string;
  readonly value: string;
  /** Errnos after which nothing is lost: the kernel lacks a file whose value would change nothing. */
  readonly accept?: readonly Errno[];
  /** Errnos after which the write is made once more behind the others, because the kernel checks one value against another. */
  readonly again?: readonly Errno[];
  /** Files that tell how much is in use, where the kernel says EBUSY to a value that is less. */
  readonly usage?: { readonly current: string; readonly peak: string };
  /** What is written instead when the file does not exist: the kernel has this setting under another name. */
  readonly orElse?: ValueWrite;
}

/** Copies the value of the parent cgroup's file where the own one is empty. */
export interface InheritWrite extends WriteBase {
  readonly kind: 'inherit';
  readonly file: string;
}

/** Refuses when the number in `file` is `limit` or more. */
export interface UsageCheck extends WriteBase {
  readonly kind: 'check';
  readonly file: string;
  /** Decimal, since a limit may exceed what a number holds. */
  readonly limit: string;
}

/** Passes controllers on to the children of a cgroup (cgroup.subtree_control). */
export interface ControllerEnable extends WriteBase {
  readonly kind: 'enable';
  /** Controllers that are enabled where the cgroup has them. */
  readonly controllers: readonly string[];
  /** Those among them without which a limit cannot be applied -> JSON pointer of that limit. */
  readonly required: Readonly<Record<string, string>>;
}

/** One thing that is done to a control file. */
export type CgroupWrite = ValueWrite | InheritWrite | UsageCheck | ControllerEnable;

/** Where the writes of one controller go. */
export interface ControllerPlace {
  /** Index into the plan's directories. */
  readonly directory: number;
}

/** A list of writes, and what adds one to it: the value of a property of a section of linux.resources for a file. */
export function collectWrites(place: ControllerPlace, section: string) {
  const writes: CgroupWrite[] = [];
  const value = (
    property: string,
    file: string,
    text: string,
    more: Pick<ValueWrite, 'accept' | 'again' | 'usage'> = {},
  ): void => {
    const label = `set ${section}.${property}`;
    const pointer = `/linux/resources/${section}/${property}`;
    writes.push({ kind: 'value', ...place, file, value: text, label, pointer, ...more });
  };
  return { writes, value };
}
