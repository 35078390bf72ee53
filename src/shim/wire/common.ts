import { bytes, int32, int64, list, nested, text, type Fields, type Given } from '../../protobuf/codec.ts';

/** google.protobuf.Any: a message and the name of its kind. */
export const ANY = { typeUrl: text(1), value: bytes(2) } satisfies Fields;

/** The value of an Any. */
export type Any = Given<typeof ANY>;

/** The name of an Any's kind, without what may stand before it. */
export function kindOf({ typeUrl = '' }: Any): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/** google.protobuf.Timestamp, in UTC. */
export const TIMESTAMP = { seconds: int64(1), nanos: int32(2) } satisfies Fields;

/** The value of a timestamp. */
export type Timestamp = Given<typeof TIMESTAMP>;

/** Go's zero time, 1 January of the year 1: what has not happened yet did so then. */
export const NEVER: Timestamp = { seconds: -62135596800 };

/** The moment, from milliseconds since 1970. */
export function timestampOf(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / 1000);
  return { seconds, nanos: Math.round((timeMs - seconds * 1000) * 1e6) };
}

/** google.rpc.Status. */
export const STATUS = { code: int32(1), message: text(2) } satisfies Fields;

/** containerd.types.Mount. */
export const MOUNT = { type: text(1), source: text(2), target: text(3), options: list(text(4)) } satisfies Fields;

/** The value of a mount. */
export type Mount = Given<typeof MOUNT>;

/** The field of a message that is a timestamp. */
export const timestamp = (number: number) => nested(number, TIMESTAMP);
/** The field of a message that is an Any. */
export const any = (number: number) => nested(number, ANY);
