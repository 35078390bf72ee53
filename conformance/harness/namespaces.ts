import path from 'node:path';

/** Command lines of runtimes, and the namespaces in which what tests them runs. */

const NAMESPACES = ['--mount', '--propagation=private', '--pid', '--fork', '--mount-proc', '--kill-child=KILL'];

export const UNIFIED = '/sys/fs/cgroup/unified';
/** What a runtime makes there instead goes to a file system of these namespaces, not to the one that the machine has below. */
export const HIDE_UNIFIED = `umount ${UNIFIED} && mount -t tmpfs tmpfs ${UNIFIED}`;
export const WITHOUT_UNIFIED = `it runs only where ${UNIFIED} is not mounted`;

/**
 * A command in new namespaces, so that whatever it leaves behind ends with it: the file of unshare(1) and its arguments. Its pid
 * 1 is a shell, which also reaps what containers leave. `setUp` is a line of that shell.
 */
export function inNamespaces(argv: readonly string[], setUp = ':'): readonly [file: string, args: string[]] {
  return ['unshare', [...NAMESPACES, '--ipc', '--uts', '--net', 'sh', '-c', `${setUp}; "$@"; exit $?`, 'sh', ...argv]];
}

export function commandLine(runtime: string): string[] {
  const file = path.resolve(runtime);
  return /\.m?js$/.test(file) ? [process.execPath, file] : [file];
}

/** What a report calls a runtime: the first line of its `--version`, or its path where it has none. */
export function nameOf(runtime: string, version: string, top: string): string {
  const file = path.relative(top, path.resolve(runtime));
  return version === '' ? (file.startsWith('..') ? runtime : file) : version;
}
