import { checked } from '../errno.ts';
import { bindLibc } from '../library.ts';

const prlimitCall = bindLibc('int prlimit(int pid, int resource, const void *new_limit, void *old_limit)');

/**
 * Sets a resource limit of another process. Errors: `host` (EPERM when raising a hard limit without CAP_SYS_RESOURCE).
 *
 * Source: man 2 prlimit; struct rlimit is two u64, soft and hard.
 */
export function setRlimit(
  pid: number,
  limit: { readonly resource: number; readonly soft: bigint; readonly hard: bigint },
): void {
  const value = Buffer.alloc(16);
  value.writeBigUInt64LE(BigInt.asUintN(64, limit.soft), 0);
  value.writeBigUInt64LE(BigInt.asUintN(64, limit.hard), 8);
  checked(prlimitCall(pid, limit.resource, value, null), `set resource limit ${limit.resource} of process ${pid}`);
}

/** A limit of this process. Errors: `host`. */
export function getRlimit(resource: number): { readonly soft: bigint; readonly hard: bigint } {
  const own = Buffer.alloc(16);
  checked(prlimitCall(0, resource, null, own), `read resource limit ${resource}`);
  return { soft: own.readBigUInt64LE(0), hard: own.readBigUInt64LE(8) };
}

/**
 * Runs a function that starts a process, while this process has another soft limit, which the process inherits.
 *
 * Errors: `host`; whatever the function throws. Effects: the limit is the whole process's, its other threads' too.
 */
export function withSoftLimit<T>(limit: { readonly resource: number; readonly soft: bigint }, run: () => T): T {
  const { soft, hard } = getRlimit(limit.resource);
  setRlimit(0, { ...limit, hard });
  try {
    return run();
  } finally {
    setRlimit(0, { resource: limit.resource, soft, hard });
  }
}
