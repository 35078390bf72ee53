/**
 * Starts commands at the least cost there is for a caller: posix_spawn, whose child shares the memory of its parent until it is the
 * command. A fork of this process, as Node's own functions do it, adds 3 ms of copied page tables to every command, and
 * hides with them how the commands differ; nobody who calls a runtime is as large.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
/** @typedef {(...args: unknown[]) => number} Call */
const posixSpawn = /** @type {Call} */ (
  libc.func('int posix_spawn(_Out_ int *pid, str path, void *actions, void *attributes, char **argv, char **envp)')
);
const initActions = /** @type {Call} */ (libc.func('int posix_spawn_file_actions_init(void *actions)'));
const addOpen = /** @type {Call} */ (
  libc.func('int posix_spawn_file_actions_addopen(void *actions, int fd, str path, int flags, int mode)')
);
const addDup = /** @type {Call} */ (libc.func('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)'));
const waitpid = /** @type {Call} */ (libc.func('int waitpid(int pid, _Out_ int *status, int options)'));

/** Of waitpid(2). */
const ANY = -1;
/** Bytes of posix_spawn_file_actions_t (glibc, 64 bits). */
const ACTIONS_SIZE = 80;
/** Standard input and output are not for the commands of a bench; what they say of an error is seen. */
const actions = Buffer.alloc(ACTIONS_SIZE);
check(initActions(actions), 'posix_spawn_file_actions_init');
check(addOpen(actions, 0, '/dev/null', 0, 0), 'posix_spawn_file_actions_addopen');
check(addOpen(actions, 1, '/dev/null', 1, 0), 'posix_spawn_file_actions_addopen');
// The engine has taken it from its children.
check(addDup(actions, 2, 2), 'posix_spawn_file_actions_adddup2');

const environment = [...Object.entries(process.env).map(([name, value = '']) => `${name}=${value}`), null];

/**
 * Runs a command to its end. Nothing else happens in this process meanwhile.
 * @param {string} file path
 * @param {readonly string[]} args
 * @returns {number} exit code, or 128 and the signal
 */
export function runToEnd(file, args) {
  const pid = start(file, args);
  return waitFor(pid).code;
}

/**
 * The same with commands at the same time. Nobody else may have children that end meanwhile.
 * @param {readonly (readonly [file: string, ...args: string[]])[]} commands
 * @returns {{ code: number, ms: number }[]} in the order in which they ended, with what each took from its own start on
 */
export function runAllToEnd(commands) {
  const started = new Map(
    commands.map(([file, ...args]) => {
      const sinceMs = performance.now();
      return [start(file, args), sinceMs];
    }),
  );
  return commands.map(() => {
    const { pid, code } = waitFor(ANY);
    const sinceMs = started.get(pid);
    if (sinceMs === undefined) throw new Error(`process ${pid} has ended, which is none of the commands`);
    return { code, ms: performance.now() - sinceMs };
  });
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 */
function start(file, args) {
  /** @type {[number]} */
  const pid = [0];
  check(posixSpawn(pid, file, actions, null, [file, ...args, null], environment), `posix_spawn of ${file}`);
  return pid[0];
}

/** @param {number} which a process, or ANY */
function waitFor(which) {
  /** @type {[number]} */
  const status = [0];
  const pid = waitpid(which, status, 0);
  if (pid < 0) throw new Error('waitpid failed');
  const signal = status[0] & 0x7f;
  return { pid, code: signal === 0 ? (status[0] >> 8) & 0xff : 128 + signal };
}

/**
 * @param {number} errno
 * @param {string} what
 */
function check(errno, what) {
  if (errno !== 0) throw new Error(`${what}: errno ${errno}`);
}
