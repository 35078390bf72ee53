import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSOPEN_CLOEXEC } from '../util/constants.ts';
import { lastErrno } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const fsopenCall = bindLibc('long syscall(long number, const char *type, unsigned int flags)');
const fsconfigCall = bindLibc(
  'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int aux)',
);
const readCall = bindLibc('long read(int fd, void *buffer, size_t size)');

/** The same on x86-64 and arm64 (include/uapi/asm-generic/unistd.h). */
const SYS_FSOPEN = 430;
const SYS_FSCONFIG = 431;
const MESSAGE_BYTES_MAX = 4096;
/** What the kernel keeps of them (fs/fs_context.c, struct fc_log). */
const MESSAGES_MAX = 8;

/** What is mounted where: a file system, not yet attached to anything. */
export interface FileSystemTrial {
  readonly type: string;
  readonly source: string;
  /** In the order of the mount; `value` is absent for one that is a word alone. */
  readonly options: readonly { readonly key: string; readonly value?: string }[];
  /** Whether the file system is made too, when its options are taken; it is gone afterwards. */
  readonly isMade: boolean;
}

/**
 * What the kernel says of a file system that cannot be mounted, in its own words: a line each, such as
 * `tmpfs: Unknown parameter 'sise'`. Nothing is mounted. Empty where it says nothing, or cannot be asked.
 *
 * Source: man 2 fsopen ("The message retrieval interface"), man 2 fsconfig (Linux 5.2).
 */
export function readKernelWords({ type, source, options, isMade }: FileSystemTrial): readonly string[] {
  const fd = fsopenCall(SYS_FSOPEN, type, FSOPEN_CLOEXEC);
  if (fd < 0) return [];
  using context = new OwnedFd(fd);
  const configure = (command: number, key: string | null, value: string | null): boolean => {
    return fsconfigCall(SYS_FSCONFIG, context.number, command, key, value, 0) >= 0;
  };
  // Some have no source, which is no reason to stop.
  configure(FSCONFIG_SET_STRING, 'source', source);
  const areTaken = options.every(({ key, value }) =>
    value === undefined ? configure(FSCONFIG_SET_FLAG, key, null) : configure(FSCONFIG_SET_STRING, key, value),
  );
  if (areTaken && isMade) configure(FSCONFIG_CMD_CREATE, null, null);
  return readMessages(context);
}

/** Each begins with a letter for how grave it is. */
function readMessages(context: OwnedFd): string[] {
  const messages: string[] = [];
  const buffer = Buffer.alloc(MESSAGE_BYTES_MAX);
  while (messages.length < MESSAGES_MAX) {
    const count = readCall(context.number, buffer, buffer.length);
    if (count < 0 && lastErrno() === 'EINTR') continue;
    if (count <= 0) break;
    const text = buffer.toString('utf8', 0, count).trimEnd();
    if (text.startsWith('e ')) messages.push(text.slice(2));
  }
  return messages;
}
