import { TsrunError } from '../../errors.ts';
import { errnoName } from '../../util/errno.ts';
import { bindLibc } from '../library.ts';
import { TextList } from './text-list.ts';
import { duplicateAbove, type OwnedFd } from '../fd.ts';
import { inheritedSignals } from '../events/signals.ts';

const actionsInit = bindLibc('int posix_spawn_file_actions_init(void *actions)');
const actionsDup2 = bindLibc('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)');
const actionsDestroy = bindLibc('int posix_spawn_file_actions_destroy(void *actions)');
const attrInit = bindLibc('int posix_spawnattr_init(void *attr)');
const attrSetFlags = bindLibc('int posix_spawnattr_setflags(void *attr, short flags)');
const attrSetSigmask = bindLibc('int posix_spawnattr_setsigmask(void *attr, const void *set)');
const attrSetSigdefault = bindLibc('int posix_spawnattr_setsigdefault(void *attr, const void *set)');
const attrDestroy = bindLibc('int posix_spawnattr_destroy(void *attr)');
const posixSpawn = bindLibc(
  'int posix_spawn(void *pid, const char *path, void *actions, void *attr, const void *argv, const void *envp)',
);

const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
/** Larger than posix_spawn_file_actions_t (80), posix_spawnattr_t (336) and sigset_t (128) of glibc and musl. */
const OPAQUE_SIZE = 512;

/** A program to start, and all that it gets of this process; `path` is no name to look for in PATH. */
export interface SpawnOptions {
  readonly path: string;
  /** argv[0]: what `ps` shows. */
  readonly name: string;
  /** Behind argv[0]. Default: none. */
  readonly args?: readonly string[];
  /** Entries `NAME=value`. Default: none. */
  readonly environment?: readonly string[];
  /** Descriptor number in the child -> descriptor here. Everything else is close-on-exec and does not arrive. */
  readonly descriptors: ReadonlyMap<number, number>;
}

/**
 * Starts a program with no other environment than that given, the signals blocked and ignored that whoever started this process had blocked
 * and ignored, and exactly the descriptors given.
 *
 * Returns the pid; the caller reaps it. posix_spawn(3) does not copy this process, so it is safe in one with many threads.
 * Errors: `host`.
 */
export function spawn(options: SpawnOptions): number {
  const actions = Buffer.alloc(OPAQUE_SIZE);
  const attributes = Buffer.alloc(OPAQUE_SIZE);
  const moved: OwnedFd[] = [];
  requireZero(actionsInit(actions), 'prepare a process');
  requireZero(attrInit(attributes), 'prepare a process');
  try {
    for (const [target, source] of freeOfOverlaps(options.descriptors, moved)) {
      requireZero(actionsDup2(actions, source, target), `pass descriptor ${source} as ${target}`);
    }
    attrSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const { blocked, ignored } = inheritedSignals();
    attrSetSigmask(attributes, signalSet(blocked));
    attrSetSigdefault(attributes, signalSet(BigInt.asUintN(64, ~ignored)));
    const pid = Buffer.alloc(8);
    const argv = new TextList([options.name, ...(options.args ?? [])]);
    const envp = new TextList(options.environment ?? []);
    requireZero(
      posixSpawn(pid, options.path, actions, attributes, argv.pointers, envp.pointers),
      `start ${JSON.stringify(shownPath(options))}`,
    );
    return pid.readInt32LE(0);
  } finally {
    actionsDestroy(actions);
    attrDestroy(attributes);
    for (const fd of moved) fd.close();
  }
}

/** The number of a descriptor would tell nobody anything. */
function shownPath({ path, name }: SpawnOptions): string {
  return path.startsWith('/proc/self/fd/') ? name : path;
}

function signalSet(signals: bigint): Buffer {
  const set = Buffer.alloc(OPAQUE_SIZE);
  set.writeBigUInt64LE(signals, 0);
  return set;
}

/**
 * A copy of the map in which no source number is also a target, so that the order of the dup2 calls does not matter. A
 * source equal to its own target would also do, but only newer C libraries clear its close-on-exec flag.
 */
function freeOfOverlaps(descriptors: ReadonlyMap<number, number>, moved: OwnedFd[]): Map<number, number> {
  const highest = Math.max(...descriptors.keys());
  const free = new Map<number, number>();
  for (const [target, source] of descriptors) {
    if (!descriptors.has(source)) {
      free.set(target, source);
      continue;
    }
    const copy = duplicateAbove(source, highest + 1);
    moved.push(copy);
    free.set(target, copy.number);
  }
  return free;
}

/** The posix_spawn family returns the error number instead of setting errno. */
function requireZero(result: number, what: string): void {
  if (result === 0) return;
  throw TsrunError.of('host', what, errnoName(result));
}
