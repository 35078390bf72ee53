import { readFileSync, statSync } from 'node:fs';
import { identifyProcess, type ProcessIdentity } from '../container/store/process-identity.ts';
import { hasHungUp } from '../sys/events/poll.ts';
import { peerCredentials } from '../sys/socket.ts';
import { GoCold } from './reasons.ts';

/** What a process may do and see, as far as a planner that acts in its place has to be its like. */
export interface Standing {
  readonly uid: number;
  readonly gid: number;
  /** CapEff and CapPrm of /proc/PID/status. */
  readonly capabilities: readonly [effective: bigint, permitted: bigint];
  /** Supplementary groups, sorted. */
  readonly groups: string;
  readonly noNewPrivileges: boolean;
  readonly isFiltered: boolean;
  /** Somebody looks at what it does. */
  readonly isTraced: boolean;
  /** Name of a namespace -> its inode; and the root directory. */
  readonly places: string;
  /** Of the security module that labels processes; empty without one. */
  readonly label: string;
  readonly umask: number;
}

/** The process at the other end of a connection. */
export interface Peer {
  readonly identity: ProcessIdentity;
  /** Its directory below /proc. */
  readonly proc: string;
  readonly standing: Standing;
}

const NAMESPACES = [
  ...['cgroup', 'ipc', 'mnt', 'net', 'pid', 'pid_for_children', 'time', 'time_for_children', 'user', 'uts'],
];

/** Reads it of the process whose directory below /proc is `proc`. Errors: those of Node. */
export function readStanding(proc: string): Standing {
  const status = readFileSync(`${proc}/status`, 'latin1');
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const effective = (name: string): number => Number(field(name).split(/\s+/)[1] ?? NaN);
  return {
    uid: effective('Uid'),
    gid: effective('Gid'),
    capabilities: [BigInt(`0x${field('CapEff')}`), BigInt(`0x${field('CapPrm')}`)],
    groups: field('Groups').trim().split(/\s+/).sort().join(' '),
    noNewPrivileges: field('NoNewPrivs') !== '0',
    isFiltered: field('Seccomp') !== '0',
    isTraced: field('TracerPid') !== '0',
    places: [...NAMESPACES.map((name) => inodeOf(`${proc}/ns/${name}`)), inodeOf(`${proc}/root`)].join(' '),
    label: readLabel(proc),
    umask: Number.parseInt(field('Umask') || '022', 8),
  };
}

function inodeOf(file: string): string {
  try {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  } catch (error) {
    // A kernel without this kind of namespace.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '-';
    throw error;
  }
}

function readLabel(proc: string): string {
  try {
    return readFileSync(`${proc}/attr/current`, 'latin1').replace(/[\n\0]+$/, '');
  } catch {
    // EINVAL where no security module labels processes.
    return '';
  }
}

/**
 * The process that has connected, when the planner may act in its place: it is no weaker than the planner, and it sees the same. Errors:
 * `GoCold`.
 */
export function examinePeer(socket: number, own: Standing): Peer {
  const { pid, uid } = peerCredentials(socket);
  if (pid === 0) throw new GoCold('surroundings');
  if (uid !== own.uid) throw new GoCold('user');
  const proc = `/proc/${pid}`;
  const standing = readPeersStanding(proc);
  requireLike(standing, own);
  const identity = identifyProcess(pid);
  // It has not ended: the number was this process's all the time.
  if (identity === undefined || hasHungUp(socket)) throw new GoCold('hello');
  return { identity, proc, standing };
}

function readPeersStanding(proc: string): Standing {
  try {
    return readStanding(proc);
  } catch (cause) {
    throw new GoCold('hello', { cause });
  }
}

/** Errors: `GoCold`. */
export function requireLike(peer: Standing, own: Standing): void {
  const holds = (index: 0 | 1): boolean =>
    (peer.capabilities[index] & own.capabilities[index]) === own.capabilities[index];
  if (peer.uid !== own.uid || !holds(0) || !holds(1)) throw new GoCold('user');
  // Root has group 0 in a login shell and no supplementary ones in a service; neither gives it anything.
  if (own.uid !== 0 && (peer.gid !== own.gid || peer.groups !== own.groups)) throw new GoCold('user');
  if (peer.places !== own.places) throw new GoCold('surroundings');
  if (peer.isTraced) throw new GoCold('traced');
  const isConfined = peer.noNewPrivileges || peer.isFiltered || peer.label !== own.label;
  if (isConfined || own.noNewPrivileges || own.isFiltered) throw new GoCold('confined');
}
