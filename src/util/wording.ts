/**
 * The wording of failures that other programs and people's scripts search for: runc's, letter by letter, each with who reads it.
 *
 * Callers look for a part of a message and never for all of it, so a message may say more before and after these words, such as
 * `tsrun create failed: ` in the place of runc's own name. Every message that has one of these situations takes the words from
 * here; test/util/wording.test.ts and test/live/words.test.ts hold them to the letter.
 */
export const wording = {
  // containerd: `does not exist` becomes its error "not found"; the same for every command.
  doesNotExist: 'container does not exist',
  // containerd: the answer to `kill` that is no failure.
  notRunning: 'container not running',
  // containerd takes this one from `kill` for the same. Source: strerror(ESRCH).
  noSuchProcess: 'no such process',
  alreadyExists: 'container with given ID already exists',
  invalidId: 'invalid container ID format',
  emptyId: 'container id cannot be empty',

  startStopped: 'cannot start a container that has stopped',
  startRunning: 'cannot start an already running container',
  startInState: (state: string) => `cannot start a container in the ${state} state`,
  // The kubelet's probes show these.
  execStopped: 'cannot exec in a stopped container',
  execPaused: 'cannot exec in a paused container (use --ignore-paused to override)',
  deleteNotStopped: (id: string, status: string) => `cannot delete container ${id} that is not stopped: ${status}`,
  checkpointStatus: (status: string) => `container cannot be checkpointed in ${status} state`,
  paused: 'container paused',
  notPaused: 'container not paused',
  initStillRunning: 'container init still running',

  ttyWithoutSocket: (runtime: string) => `cannot allocate tty if ${runtime} will detach without setting console socket`,
  socketWithoutTty: (runtime: string) => `cannot use console socket if ${runtime} will not detach or allocate tty`,
  noPreservedFd: (number: number) => `unable to stat preserved-fd ${number}`,

  // dockerd, podman: the exit status 127 or 126 of `docker run` and `podman run` is made of these.
  notInPath: 'executable file not found in $PATH',
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',

  oomKilled: 'container init was OOM-killed (memory limit too low?)',
  killedInSetup: '(possibly OOM-killed)',
  memoryLimitTooLow: (limit: string, current: string, peak: string) =>
    `unable to set memory limit to ${limit} (current usage: ${current}, peak usage: ${peak})`,
  cgroupNotEmpty: (count: number) => `container's cgroup is not empty: ${count} process(es) found`,
  cgroupFrozen: "container's cgroup unexpectedly frozen",

  noProcess: 'process property must not be empty',
  emptyCwd: 'Cwd property must not be empty',
  relativeCwd: 'Cwd must be an absolute path',
  noArgs: 'args must not be empty',
  configMissing: (name: string) => `JSON specification file ${name} not found`,
  configNull: 'config cannot be null',
  noRoot: 'root must be specified',
  configExists: (name: string) => `File ${name} exists. Remove it first`,

  unknownSignal: 'unknown signal',
  invalidFormat: 'invalid format option',
  invalidLogFormat: 'invalid log-format',
  rootIsSlash: 'Option --root argument should not be set to /',
  // podman: whether `restore` knows an option it finds out by giving it without a value.
  noValue: 'flag needs an argument',
  wrongCount: (name: string, wanted: string) => `${JSON.stringify(name)} requires ${wanted} argument(s)`,
  noArgsForExec: 'process args cannot be empty',

  hookFailed: (kind: string, index: number) => `error running ${kind} hook #${index}`,
} as const;
