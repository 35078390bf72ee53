import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { errnoText } from '../../util/errno.ts';

/**
 * Writes a pid in decimal, without a newline, in one step: a reader sees no file or the whole number. The name of its temporary file
 * is used once: what a killed tsrun leaves is in nobody's way. Errors: `host`.
 */
export function writePidFile(file: string, pid: number): void {
  const temporary = path.join(path.dirname(file), `.tsrun-pid.${process.pid}-${process.hrtime.bigint()}`);
  try {
    writeFileSync(temporary, String(pid), { flag: 'wx', mode: 0o644 });
    renameSync(temporary, file);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    if (errno !== 'EEXIST') rmSync(temporary, { force: true });
    throw new TsrunError('host', `write pid file ${JSON.stringify(file)}: ${errnoText(errno)}`, { errno, cause });
  }
}
