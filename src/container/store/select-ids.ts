import { TsrunError } from '../../errors.ts';
import type { RuntimeOptions } from './options.ts';
import { listIds } from './ids.ts';

/**
 * Does something with every container whose id matches a regular expression (`kill --regex`, `delete --regex`), as crun does: one
 * that fails is a warning, so that it does not keep the others from their turn.
 *
 * The expression is JavaScript's, which reads POSIX extended ones alike but for bracket classes, and matches anywhere in an id.
 * Errors: `usage` for a text that is no expression. That no id matches is none.
 */
export async function forMatchingIds(
  runtime: Pick<RuntimeOptions, 'root' | 'log'>,
  expression: string,
  action: (id: string) => Promise<void>,
): Promise<void> {
  const pattern = compile(expression);
  // Ids have at most 255 characters, which bounds the time of a bad expression; it is the caller's own.
  const ids = listIds(runtime.root).filter((id) => pattern.test(id));
  for (const id of ids) {
    try {
      await action(id);
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      runtime.log.warning(`container ${JSON.stringify(id)}: ${error.message}`);
    }
  }
}

function compile(expression: string): RegExp {
  try {
    return new RegExp(expression, 'u');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TsrunError('usage', `invalid regular expression ${JSON.stringify(expression)}: ${reason}`, { cause });
  }
}
