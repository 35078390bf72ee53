/** Why a planner leaves a command to the caller's own engine; `planner status` counts them. */
export const REASONS = {
  build: 'the launcher is of another build',
  hello: 'what the launcher said makes no sense',
  user: 'the caller is another user, or has fewer rights than the planner',
  surroundings: 'the caller has other namespaces, or another root directory',
  confined: 'the caller is confined: seccomp, no_new_privs, or another label of a security module',
  traced: 'the caller is traced, and most of what is done would be done where nobody looks',
  command: 'the command is none that is served here',
  'command-line': 'the command line has something that only the engine itself can do',
  measured: 'the time of each step is asked for',
  stdin: 'the command reads its standard input',
  descriptors: 'a standard descriptor is closed, or too many are preserved',
  terminal: 'the command waits in the foreground of a terminal',
  hooks: 'the container has hooks in the namespaces of the runtime, which are processes of the caller',
  'helper-process': 'id maps of an ordinary user, or of idmapped mounts, need a process of the caller',
  network: 'the network of the container is set up, or taken down, by programs of the caller',
  'service-manager': 'a service manager is to be notified, which looks at who does it',
  path: 'a path of the caller leads to no plain file, through links that mean a process, or to one that is too large',
  filesystem: 'a path of the caller is on a network, FUSE or proc file system, or names are looked up in the container',
  'copy-up': 'a mount copies up what it covers, which may take long',
  bug: 'the planner failed in a way that nobody has thought of',
} as const;

/** A row of the table. */
export type Reason = keyof typeof REASONS;

/** The refusal that is behind a failure, whoever has said in between what was being done; undefined where there is none. */
export function refusalBehind(failure: unknown): GoCold | undefined {
  for (let cause = failure; cause instanceof Error; { cause } = cause) if (cause instanceof GoCold) return cause;
  return undefined;
}

/** The command is left to the caller's own engine; nothing of it has happened. */
export class GoCold extends Error {
  readonly reason: Reason;

  constructor(reason: Reason, options?: ErrorOptions) {
    super(REASONS[reason], options);
    this.reason = reason;
  }
}
