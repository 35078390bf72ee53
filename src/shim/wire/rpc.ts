import { bytes, int64, list, nested, text, type Fields } from '../../protobuf/codec.ts';
import { STATUS } from './common.ts';

/** A call. Source: github.com/containerd/ttrpc, request.proto. */
export const REQUEST = {
  service: text(1),
  method: text(2),
  payload: bytes(3),
  timeoutNs: int64(4),
  metadata: list(nested(5, { key: text(1), value: text(2) })),
} satisfies Fields;

/** Its answer. */
export const RESPONSE = { status: nested(1, STATUS), payload: bytes(2) } satisfies Fields;

/** Codes of google.rpc that containerd makes errors of its own of. */
export const CODE = {
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  unavailable: 14,
} as const;

/** A failure that has a code of its own on the wire. */
export class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
