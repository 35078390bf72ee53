import type { CgroupReference, CgroupReferenceDirectory } from '../../cgroup/manager.ts';
import { TsrunError } from '../../errors.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** What tsrun remembers of a container between two commands: `<root>/<id>/state.json`. */
export interface ContainerRecord {
  /** Of this document; a newer tsrun may read older ones. */
  readonly version: 1;
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The tsrun that makes the container; while it lives and `isComplete` is false the status is `creating`. */
  readonly creator: ProcessIdentity;
  /** The container's first process, once there is one. */
  readonly init?: ProcessIdentity;
  /** The container was created successfully. */
  readonly isComplete: boolean;
  /** Path of the program inside the container. */
  readonly executable?: string;
  readonly home?: string;
  /** Entries `NAME=value` that the program gets on top of those of its config. */
  readonly environment?: readonly string[];
  /** What `start` shows to init, hexadecimal, where init cannot see by the user who it is. */
  readonly startToken?: string;
  /** What `exec` shows to an init that waits for `start` and that its user may not look into, hexadecimal. */
  readonly handlesToken?: string;
  /** Its readiness is passed on: there is a directory for the socket of sd_notify(3). */
  readonly notifies?: boolean;
  readonly cgroup: CgroupReference;
  /** What was made in the resctrl file system, with `intelRdt` only. */
  readonly resctrl?: ResctrlReference;
  /** With mounts and without a mount namespace only. */
  readonly rootfsCover?: RootfsCover;
  /** How many descriptors from 3 on are the program's. */
  readonly preserveFds: number;
  /** The root directory of the container is not the root of its mount namespace. */
  readonly isChrooted: boolean;
  /** The container has a pid namespace of its own, so that the death of init ends all its processes. */
  readonly hasPidNamespace: boolean;
}

/** What tsrun has made in the resctrl file system; only this is removed. Plain JSON. */
export interface ResctrlReference {
  readonly mountPoint: string;
  /** Directories, deepest first, absolute. */
  readonly made: readonly string[];
}

/**
 * A mount of the rootfs over itself, for a container that has mounts and no mount namespace of its own: all that it mounts is below
 * this one, which takes it along when it is undone. Plain JSON.
 */
export interface RootfsCover {
  readonly rootfs: string;
  /** Id, as mountinfo has it, of the mount that the rootfs lies on without the cover. */
  readonly parent: number;
}

/**
 * The record of a container from the JSON of its state file, which may have been written by anyone who could write there: only the shape
 * that tsrun writes is used. Errors: `state`.
 */
export function requireRecord(value: unknown, id: string, file: string): ContainerRecord {
  const record = value as Partial<ContainerRecord> | null;
  const isObject = typeof record === 'object' && record !== null && record.version === 1 && record.id === id;
  const hasText = isObject && [record.bundle, record.rootfs, record.created].every((text) => typeof text === 'string');
  const hasCgroup = isObject && isCgroupReference(record.cgroup) && isResctrlReference(record.resctrl);
  if (
    !hasText ||
    !hasCgroup ||
    !isIdentity(record.creator) ||
    (record.init !== undefined && !isIdentity(record.init)) ||
    !isEnvironment(record.environment) ||
    ![record.startToken, record.handlesToken].every((token) => /^[0-9a-f]*$/.test(token ?? ''))
  ) {
    throw new TsrunError('state', `read ${JSON.stringify(file)}: it is no state of container ${JSON.stringify(id)}`);
  }
  return record as ContainerRecord;
}

function isCgroupReference(value: unknown): boolean {
  const reference = value as Partial<CgroupReference> | null | undefined;
  if (reference === null || reference === undefined || !MANAGERS.some((name) => name === reference.manager))
    return false;
  if ((reference.manager === 'systemd') !== isUnit(reference.unit)) return false;
  return Array.isArray(reference.directories) && reference.directories.every(isCgroupDirectory);
}

const MANAGERS: readonly CgroupReference['manager'][] = ['cgroupfs', 'systemd', 'disabled'];

function isUnit(unit: CgroupReference['unit']): boolean {
  return typeof unit?.name === 'string' && ['system', 'user'].includes(unit.bus);
}

function isResctrlReference(reference: Partial<ResctrlReference> | null | undefined): boolean {
  if (reference === undefined) return true;
  const made: unknown = reference?.made;
  return (
    typeof reference?.mountPoint === 'string' && Array.isArray(made) && made.every((path) => typeof path === 'string')
  );
}

function isCgroupDirectory(value: unknown): boolean {
  const directory = value as Partial<CgroupReferenceDirectory> | null;
  const isText = (text: unknown): boolean => typeof text === 'string';
  return (
    (directory?.kind === 'v1' || directory?.kind === 'v2') &&
    isText(directory.mountPoint) &&
    isText(directory.hostPath) &&
    [directory.controllers, directory.made].every((list) => Array.isArray(list) && list.every(isText))
  );
}

function isIdentity(value: ProcessIdentity | undefined): boolean {
  return Number.isSafeInteger(value?.pid) && (value?.pid ?? 0) > 0 && typeof value?.startTime === 'string';
}

function isEnvironment(value: readonly string[] | undefined): boolean {
  return (
    value === undefined || (Array.isArray(value) && value.every((entry) => /^[^=\0]+=[^\0]*$/.test(String(entry))))
  );
}
