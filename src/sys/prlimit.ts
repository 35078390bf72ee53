import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

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
