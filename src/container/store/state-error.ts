import { TsrunError } from '../../errors.ts';
import { errnoText } from '../../util/errno.ts';

/** The failure `state` of an action on the file system of the state directories, with its errno. */
export function stateError(what: string, cause: unknown): TsrunError {
  const errno = (cause instanceof TsrunError ? cause.errno : (cause as NodeJS.ErrnoException).code) ?? 'EIO';
  return new TsrunError('state', `${what}: ${errnoText(errno)}`, { errno, cause });
}
