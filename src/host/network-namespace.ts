import { statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';

/** The network namespace of a process, or of this one: the inode, decimal. Errors: `host`. */
export function networkNamespaceOf(pid: number | 'self'): string {
  const file = `/proc/${pid}/ns/net`;
  try {
    return String(statSync(file, { bigint: true }).ino);
  } catch (error) {
    throw TsrunError.of('host', `look at network namespace ${JSON.stringify(file)}`, error);
  }
}
