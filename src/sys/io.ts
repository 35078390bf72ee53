import { TsrunError } from '../errors.ts';
import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const write = bindLibc('long write(int fd, const void *bytes, size_t count)');
const pread = bindLibc('long pread(int fd, void *bytes, size_t count, long offset)');

/** Writes all bytes. Errors: `host`. */
export function writeFully(fd: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    const written = checked(write(fd, rest, rest.length), `write ${rest.length} bytes to descriptor ${fd}`);
    rest = rest.subarray(written);
  }
}

/** The bytes of a file from an offset to its end. Errors: `host`, also when there are more than `limit`. */
export function readAt(fd: number, offset: number, limit: number): Buffer {
  const bytes = Buffer.alloc(limit + 1);
  let length = 0;
  for (;;) {
    const rest = bytes.subarray(length);
    const count = checked(pread(fd, rest, rest.length, offset + length), `read descriptor ${fd}`);
    length += count;
    if (length > limit) throw new TsrunError('host', `read descriptor ${fd}: more than ${limit} bytes`);
    if (count === 0) return bytes.subarray(0, length);
  }
}

/** At most `length` bytes of a file from an offset on: fewer where it ends. Errors: `host`. */
export function readPart(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const rest = bytes.subarray(done);
    const count = checked(pread(fd, rest, rest.length, offset + done), `read descriptor ${fd}`);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
