import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const getrandomCall = bindLibc('long getrandom(void *bytes, size_t count, unsigned int flags)');

/** `count` random bytes, at most 256, fit for a secret. Errors: `host`. Source: man 2 getrandom. */
export function randomBytes(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  // Up to 256 bytes come whole and uninterrupted.
  checked(getrandomCall(bytes, count, 0), 'get random bytes');
  return bytes;
}
