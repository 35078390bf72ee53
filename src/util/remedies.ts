/**
 * What mends a failure, in one place: a message ends in it, and a line of the log in JSON has it as `hint`. `tsrun doctor` says the
 * same of the same.
 *
 * A remedy is a clause of its own that tells what to do, or where to look; texts of people are quoted.
 */
export const remedies = {
  bundle: '--bundle names the directory with config.json',
  config: '"tsrun spec" writes one to start from, and --bundle names another directory',
  image: 'it has to be on this machine: "skopeo copy docker://NAME oci:DIR:TAG" fetches one',
  rootless: 'an ordinary user needs a user namespace: "tsrun spec --rootless" writes such a config',
  stateRoot: '--root names another directory; an ordinary user has one of his own where XDG_RUNTIME_DIR is set',
  consoleSocket: '--console-socket names the socket that takes it; without a terminal: "terminal": false in process',
  pidFile: '--pid-file names it',
  preservedFds: '--preserve-fds counts them',
  taken: (id: string): string => `"tsrun delete ${id}" removes it`,
  running: (id: string): string => `"tsrun kill ${id}" ends it, "tsrun delete --force ${id}" ends and removes it`,
  knownEnd: 'an engine that made it was told: "podman wait", "docker wait", "ctr task wait"',
  list: (root: string): string => `"tsrun --root ${root} list" tells those that are there`,

  cwd: '--cwd names it',
  idTool: 'apt install uidmap, or the package of your distribution with shadow-utils',
  /** The line of /etc/subuid or /etc/subgid; the ids are the user's when it has been added. */
  subordinateIds: ({ kind, name, first, count }: SubordinateIds): string =>
    `the line "${name}:${first}:${count}" in /etc/sub${kind} gives them to the user`,
  ownIds: (kind: 'uid' | 'gid', own: number): string =>
    `an ordinary user may map its own ${kind} ${own}, and those that /etc/sub${kind} gives it`,
  addSubordinateIds: ({ kind, name, first, count }: SubordinateIds): string =>
    `usermod --add-sub${kind}s ${first}-${first + count - 1} ${name}, or the line "${name}:${first}:${count}" in /etc/sub${kind}`,

  writableCgroups: 'mount them writable for tsrun',
  oldCgroups: 'boot with systemd.unified_cgroup_hierarchy=1: those of version 1 are not given to ordinary users',
  delegation: 'systemd-run --user --scope -p Delegate=yes COMMAND, or --systemd-cgroup in a session of systemd',
  userNamespaces: 'the sysctl user.max_user_namespaces limits how many there may be, and 0 forbids them',
  namespaces: 'the sysctls user.max_*_namespaces limit how many there may be',

  execute: (file: string, user: string): string =>
    `"chmod +x ${file}" makes a file executable; it is executed as ${user}`,
  executeInterpreter: 'its interpreter or loader has to be executable as well, and a security module may refuse it',
  noexec: (destination: string, pointer: string): string =>
    `what is on "${destination}" cannot be executed: take "noexec" from ${pointer}/options`,
  enter: (directory: string, who: string): string => `${who} may not enter ${directory}: chmod o+x, or another place`,
  searchPath: (path: string): string => `it is looked for in the PATH of process.env, "${path}"`,
  hookTimeout: '"timeout" of the hook is how many seconds it may take',
  hookExecute: 'wanted a file that the user of tsrun may execute: chmod +x',
  processors: (online: string): string => `this machine has the processors ${online}`,
  hugePages: (sizes: readonly string[]): string => `this machine has huge pages of ${sizes.join(', ')}`,
  memory: '"memory": { "limit": BYTES } there, or "tsrun update --memory SIZE", gives it more',
  openFiles: 'ulimit -n, or LimitNOFILE= of the unit, leaves no free descriptor',
} as const;

interface SubordinateIds {
  readonly kind: 'uid' | 'gid';
  readonly name: string;
  readonly first: number;
  readonly count: number;
}

/** Of an errno that has one cause, whatever was being done. */
export function remedyOfErrno(errno: string | undefined): string | undefined {
  return errno === 'EMFILE' ? remedies.openFiles : undefined;
}
