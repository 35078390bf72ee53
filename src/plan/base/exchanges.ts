import type { ReplyForm } from '../../program/step.ts';

/** Of a file that is looked at, so many bytes at a time: enough for the headers of nearly every program. */
export const LOOK_BYTES = 1024;

/**
 * Everything that init answers: the tag that tells one answer from another, how many words of 8 bytes and how many descriptors come
 * with it, each a number or the fewest and the most. `Conversation.run` holds init to it. Tags 0 and 1 belong to the format itself
 * (program/FORMAT.md).
 *
 * A phase ends with one of the first rows: init waits, the parent does its part and sends the next program.
 */
export const EXCHANGES = {
  /** Started, not in the container's cgroup yet: the parent has systemd move it into the container's unit. */
  cgroup: { tag: 26n, words: 0, descriptors: 0 },
  /** In its user namespace: the parent writes the id maps. */
  'id-maps': { tag: 16n, words: 0, descriptors: 0 },
  /** The container's process exists: its pid as the runtime sees it. The parent reaps the process that cloned it. */
  pid: { tag: 17n, words: 1, descriptors: 0 },
  /** A netlink socket of the container's network namespace: the parent moves network devices into it, and connects it. */
  network: { tag: 25n, words: 0, descriptors: 1 },
  /** A freshly mounted tmpfs and the directory below it: the parent copies one into the other. */
  'copy-up': { tag: 19n, words: 0, descriptors: 2 },
  /** Rootfs prepared, not entered: the parent runs the hooks that belong between the mounts and pivot_root. */
  rootfs: { tag: 18n, words: 0, descriptors: 0 },
  /** The rootfs was moved onto `/`, and not entered: struct statx of its mount. The parent has init hide the host's mounts. */
  'host-mounts': { tag: 28n, words: [0, 32], descriptors: 0 },
  /** The master side of the console. */
  console: { tag: 20n, words: 0, descriptors: 1 },
  /** /etc/passwd of the container, or none: the parent looks up the home directory. */
  passwd: { tag: 21n, words: 0, descriptors: [0, 1] },
  /** The seccomp filter is loaded: the number of its listener, or the listener itself behind a control message as data. */
  seccomp: { tag: 27n, words: [1, 3], descriptors: [0, 1] },
  /** Everything is done, the container may be started: which candidate for the program was found, a word each. */
  ready: { tag: 22n, words: [0, 512], descriptors: 0 },

  /** A hook runs: init's pid as its namespace sees it, both ends of the hook's four pipes, and its pidfd. */
  'hook-started': { tag: 23n, words: 1, descriptors: 9 },
  /** How a hook ended: the status word of wait4(2). */
  'hook-ended': { tag: 24n, words: 1, descriptors: 0 },
  /** Handles of the namespaces of a waiting init and of its root. */
  handles: { tag: 29n, words: 0, descriptors: [1, 9] },
  /** The program cannot be executed, through no fault of the runtime: the negative errno. Init waits for what it has to say. */
  unfit: { tag: 30n, words: 1, descriptors: 0 },
  /** A file from a place on: the result of opening it, that of reading it, which is how many bytes there are, and the bytes. */
  look: { tag: 31n, words: 2 + LOOK_BYTES / 8, descriptors: 0 },
} as const satisfies Readonly<Record<string, ReplyForm>>;

/** An answer of init. */
export type ReplyName = keyof typeof EXCHANGES;
/** What happens at the end of a phase. */
export type ExchangeName = Exclude<ReplyName, 'hook-started' | 'hook-ended' | 'handles' | 'unfit' | 'look'>;
