/**
 * What the cold command goes on from when the launcher hears nothing more of its planner: a stage -> its number. It is the lowest byte
 * of a will, which every packet for a launcher carries; above it is a pid.
 */
export const STAGES = {
  /** The command is done as if nothing had been. */
  anew: 0,
  /** It may have been done already: what says so counts as success. */
  again: 1,
  /** A container, or a process of `exec`, is half-made: it is undone, and the command fails. */
  abandoned: 2,
  /** The program runs, a child of this process: it is supervised, and the command finished. */
  running: 3,
} as const;

/** A will; `pid` is that of the program, as the launcher sees it, where the stage is `running`. */
export interface Will {
  readonly stage: keyof typeof STAGES;
  readonly pid?: number;
}

const STAGE_BITS = 8;

/** A will as the number that packet and header have: 32 bits. No pid has more than 22 (PID_MAX_LIMIT of include/linux/threads.h). */
export function encodeWill({ stage, pid = 0 }: Will): number {
  if (!Number.isInteger(pid) || pid < 0 || pid >= 1 << 22) throw new RangeError(`bug: ${pid} is no pid`);
  return STAGES[stage] | (pid << STAGE_BITS);
}

/** The will that a number is; undefined for a stage that there is not. */
export function decodeWill(word: number): Required<Will> | undefined {
  const number = word & ((1 << STAGE_BITS) - 1);
  for (const stage of Object.keys(STAGES) as Will['stage'][])
    if (STAGES[stage] === number) return { stage, pid: word >>> STAGE_BITS };
  return undefined;
}
