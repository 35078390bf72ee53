import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { temporaryName } from '../../sys/temporary-name.ts';
import type { Caller } from './caller.ts';
import { remedies } from '../../util/remedies.ts';

/**
 * Writes a pid in decimal, without a newline, in one step: a reader sees no file or the whole number. The name of its temporary file
 * is used once: what a killed tsrun leaves is in nobody's way. Errors: `host`.
 */
export function writePidFile(file: string, pid: number, { umask }: Pick<Caller, 'umask'>): void {
  const temporary = path.join(path.dirname(file), temporaryName('.tsrun-pid.'));
  try {
    writeFileSync(temporary, String(pid), { flag: 'wx', mode: 0o600 });
    chmodSync(temporary, 0o644 & ~umask);
    renameSync(temporary, file);
  } catch (cause) {
    if (!hasErrno(cause, 'EEXIST')) rmSync(temporary, { force: true });
    throw TsrunError.of('host', `write pid file ${JSON.stringify(file)}`, cause, { hint: remedies.pidFile });
  }
}
