import { TsrunError } from '../../errors.ts';
import { CODE, RpcError } from '../wire/rpc.ts';

/** What callers hear when they signal what has ended. */
export function alreadyFinished(): RpcError {
  return new RpcError(CODE.notFound, 'process already finished');
}

/** In the words that callers know; those of an error that has a code of its own on the wire stay. */
export function failedWith(prefix: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof TsrunError ? error.withPrefix(`${prefix}: `) : error;
  };
}

/** A failure with its code on the wire. */
export function translate(error: unknown): unknown {
  if (!(error instanceof TsrunError)) return error;
  if (error.code === 'not-found') return new RpcError(CODE.notFound, error.message, { cause: error });
  if (error.code === 'exists') return new RpcError(CODE.alreadyExists, error.message, { cause: error });
  if (error.code === 'unsupported') return new RpcError(CODE.unimplemented, error.message, { cause: error });
  return error;
}
