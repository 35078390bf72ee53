import { text, type Fields } from '../../protobuf/codec.ts';

/** What commands of this shim ask the one that serves all containers of a namespace. */
export const SHARED_SERVICE = 'tsrun.shim.Shared';

/** Method -> what is asked; the answers have no fields. */
export const SHARED_METHODS = {
  /** containerd is going to make this container: the shim stays for it. */
  Expect: { id: text(1) },
  /** containerd wants nothing of it any more: what is there of it is removed. */
  Forget: { id: text(1) },
} satisfies Readonly<Record<string, Fields>>;
