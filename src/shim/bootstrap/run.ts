import { TsrunError } from '../../errors.ts';
import { WireError } from '../../protobuf/codec.ts';
import { RpcError } from '../wire/rpc.ts';
import { readFlags } from './flags.ts';
import type { ShimProcess } from './shim-process.ts';

/** Carries out what a shim was started for. Errors: `usage`, `host`, and those of what is carried out. */
export async function runShim(args: readonly string[], own: ShimProcess): Promise<void> {
  const flags = readFlags(args);
  switch (flags.action) {
    case 'version':
      own.answer(own.versionText);
      return;
    case 'delete': {
      const { deleteLeft } = await import('./delete.ts');
      own.answer(await deleteLeft(flags, own.complain));
      return;
    }
    case 'start': {
      const { start } = await import('./start.ts');
      await start(flags, own);
    }
  }
}

/** A failure as whoever started the shim shows it. */
export function describeFailure(error: unknown): string {
  if (error instanceof TsrunError || error instanceof RpcError || error instanceof WireError) return error.message;
  return `bug in tsrun: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
