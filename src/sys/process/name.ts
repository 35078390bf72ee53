import { PR_SET_NAME } from '../../util/constants.ts';
import { checked } from '../errno.ts';
import { bindLibc } from '../library.ts';

const prctlCall = bindLibc('int prctl(int option, const char *name)');

/** Names the main thread, which is what /proc/PID/stat and `ps` show: at most 15 bytes. Errors: `host`. Source: man 2 PR_SET_NAME. */
export function setProcessName(name: string): void {
  checked(prctlCall(PR_SET_NAME, name), 'name the process');
}
