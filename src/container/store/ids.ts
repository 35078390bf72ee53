import { readdirSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { remedies } from '../../util/remedies.ts';
import { wording } from '../../util/wording.ts';

/** The ids below a root directory that look like containers; none when the directory is missing. Errors: `state`. */
export function listIds(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isId(entry.name))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw TsrunError.of('state', `list ${JSON.stringify(root)}`, error);
  }
}

function isId(id: string): boolean {
  return /^[\w+.-]+$/.test(id) && id !== '.' && id !== '..';
}

/** runtime.md leaves the form of an id to the runtime; this is runc's. Errors: `id`. */
export function requireId(id: string): void {
  if (id === '') throw new TsrunError('id', wording.emptyId);
  if (!isId(id) || id.length > 255) {
    throw new TsrunError('id', `${wording.invalidId}: ${JSON.stringify(id)}, wanted letters, digits and "_+.-"`);
  }
}

/** A container is not in the status that an operation needs: what is wrong in the words of runc, and which container it is. */
export function wrongStatus(id: string, words: string): TsrunError {
  return new TsrunError('status', `${words}: ${JSON.stringify(id)}`);
}

/** What is answered where no container has an id. */
export function doesNotExist(id: string, root: string): TsrunError {
  return new TsrunError('not-found', `${wording.doesNotExist}: ${JSON.stringify(id)}`, { hint: remedies.list(root) });
}
