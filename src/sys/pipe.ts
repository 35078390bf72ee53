import { O_CLOEXEC, O_NONBLOCK } from '../util/constants.ts';
import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const pipe2 = bindLibc('int pipe2(void *pair, int flags)');

/** A pipe, close-on-exec. Shape: the end to read, the end to write, owned by the caller. Errors: `host`. */
export function pipe(options: { readonly nonBlocking?: boolean } = {}): [reader: OwnedFd, writer: OwnedFd] {
  const pair = Buffer.alloc(8);
  const flags = O_CLOEXEC | (options.nonBlocking === true ? O_NONBLOCK : 0);
  checked(pipe2(pair, flags), 'create a pipe');
  return [new OwnedFd(pair.readInt32LE(0)), new OwnedFd(pair.readInt32LE(4))];
}
