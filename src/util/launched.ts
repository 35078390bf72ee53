/**
 * What the launcher (init/launcher) hands over to the engine's executable, which cli/launched.ts reads.
 *
 * One environment variable names a descriptor in hexadecimal digits from `a` to `p`, the lowest first. It is a sealed memfd:
 *
 *     0   u64  soft limit of open files (RLIMIT_NOFILE) of the caller; 2^64 - 1 is unlimited
 *     8   u64  hard limit; 0 where neither is known
 *     16  i64  0, or the negative errno with which the working directory was not found; then it is `/` now
 *     24  i64  0; or, where the engine executes itself again, a descriptor on which the answer to what it was about is found
 *     32  u64  the will of util/wills.ts: what a planner that is gone, or stopped, has left to do; 0 for a command that is to be done anew
 *     40  u64  with a will, the descriptor of the connection with that planner, which is open still; 0 otherwise
 *     48  u64  with a will, the signals that the caller had blocked when the planner had others blocked as well, bit n - 1 for signal n
 *     56  u64  all that were blocked then; 0 where none but the caller's were
 *     64       the caller's environment: entries, each ended by a zero byte
 */
export const LAUNCHED = {
  variable: 'TSRUN_LAUNCHED',
  digits: 'abcdefghijklmnop',
  openFilesSoft: 0,
  openFilesHard: 8,
  workingDirectory: 16,
  answer: 24,
  will: 32,
  planner: 40,
  blockedBefore: 48,
  blockedAfter: 56,
  environment: 64,
} as const;

/** Files that lie beside each other: what people run, what it executes, and koffi's compiled module. */
export const LAUNCHER_FILE = 'tsrun';
/**
 * In the bundle of a container that a shim has removed: the answer to containerd's `delete`, which the launcher gives without an engine.
 */
export const DELETED = { file: 'tsrun-deleted', bytesMax: 4096 } as const;

/**
 * Where a shim that serves all containers of a containerd and namespace answers launchers. Behind this, two numbers in the digits above: the
 * inode and the device of the directory in which the bundles lie, the lower half of the latter the major number.
 */
export const DOOR = { prefix: '/run/containerd/s/tsrun-', between: '-' } as const;

/** What containerd looks for in its PATH. */
export const SHIM_FILE = 'containerd-shim-tsrun-v2';
/** Name of the file with the engine, beside the launchers. */
export const ENGINE_FILE = 'tsrun-cold';
