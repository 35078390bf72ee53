import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { ShimOptions } from '../task/options.ts';
import { Client } from '../ttrpc/client.ts';
import { encode } from '../../protobuf/codec.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { SHARED_METHODS, SHARED_SERVICE } from '../wire/shared.ts';
import type { ShimProcess } from './shim-process.ts';

/** In containerd's environment, for whoever sends no options: `1`. */
const VARIABLE = 'TSRUN_SHIM_SHARED';

/** Whether one shim is to serve all containers of a namespace: the options say so, or else containerd's environment. */
export function isShared({ shared }: ShimOptions, environment: ShimProcess['environment']): boolean {
  return shared ?? environment[VARIABLE] === '1';
}

/**
 * Asks the shim that listens at `socket` for something, if one does. Answers false where none does, or that one has just come to its end.
 *
 * Errors: `host` for one that does not answer in time; `RpcError`.
 */
export async function askShared(
  socket: string,
  method: keyof typeof SHARED_METHODS,
  { id, timeoutMs }: { readonly id: string; readonly timeoutMs: number },
): Promise<boolean> {
  using client = await connect(socket);
  if (client === undefined) return false;
  try {
    const payload = encode(SHARED_METHODS[method], { id });
    await client.call({ service: SHARED_SERVICE, method, payload, timeoutMs });
    return true;
  } catch (error) {
    const code = error instanceof RpcError ? error.code : undefined;
    if (client.isOver || code === CODE.failedPrecondition) return false;
    if (code !== CODE.unavailable) throw error;
    throw new TsrunError('host', `ask the shared shim at ${JSON.stringify(socket)}: no answer within ${timeoutMs} ms`, {
      cause: error,
    });
  }
}

async function connect(socket: string): Promise<Client | undefined> {
  try {
    return await Client.connect(socket);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ECONNREFUSED')) return undefined;
    throw error;
  }
}
