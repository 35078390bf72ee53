import type { OwnedFd } from '../sys/fd.ts';
import type { ExitStatus } from '../sys/process/wait.ts';

/**
 * The init at the other end of a conversation, apart from the conversation: who it is, how it is ended, and how it ended by itself. What
 * it is to this process depends on how it was come by, and nobody but its maker knows:
 *
 *     spawned.ts    a child of this process
 *     accepted.ts   an init that has waited for somebody to connect, and may be anybody's child
 */
export interface Partner {
  /** Its pid, as this process sees it. */
  readonly pid: number;
  /** This side of the sync pipe. */
  readonly socket: OwnedFd;
  /** The process has cloned the one that stays and has said its last word: from now on the partner is that one. Errors: `host`. */
  becomes(pid: number): void;
  /** Kills it and waits for its end; one that has ended is fine. Errors: `init` when it does not die. */
  end(): Promise<void>;
  /**
   * How it ended; waits for that at most `timeoutMs`, and without for as long as it takes. Shape: undefined for one that lives on, and
   * where its end is told to somebody else. Errors: `host`.
   */
  howItEnded(timeoutMs?: number): Promise<ExitStatus | undefined>;
}
