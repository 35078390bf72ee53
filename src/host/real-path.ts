import { realpathSync } from 'node:fs';

/**
 * An absolute path without symlinks.
 *
 * Errors: those of realpath(3) with their `code`; EILSEQ for one that is not UTF-8, which as a text would name another file.
 */
export function realPath(path: string): string {
  const resolved = realpathSync.native(path);
  if (!resolved.includes('\uFFFD') || realpathSync.native(path, 'buffer').equals(Buffer.from(resolved)))
    return resolved;
  throw Object.assign(new Error('EILSEQ: the path, symlinks resolved, is not UTF-8'), { code: 'EILSEQ' });
}
