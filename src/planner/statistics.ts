import type { Log } from '../log.ts';
import type { Served } from './serve.ts';

/** What a planner has done so far. */
export class Statistics {
  readonly #startedAt = new Date();
  readonly #counts = new Map<string, number>();
  #underWay = 0;

  /** Connections that are being served. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Counts how the serving of a connection ends; what it throws is logged. */
  async count(serving: Promise<Served>, log: Log): Promise<void> {
    this.#underWay += 1;
    const served = await serving.catch((error: unknown) => {
      log.error(`bug in tsrun: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return 'bug' as const;
    });
    this.#underWay -= 1;
    this.#counts.set(served, (this.#counts.get(served) ?? 0) + 1);
  }

  /** Shape: numbers of commands by how they ended, `warm` for those that were carried out here. */
  report(): Readonly<Record<string, unknown>> {
    const { warm = 0, lost = 0, ...cold } = Object.fromEntries([...this.#counts].sort());
    return {
      pid: process.pid,
      started: this.#startedAt.toISOString(),
      memoryBytes: process.memoryUsage.rss(),
      underWay: this.#underWay,
      warm,
      lost,
      cold,
    };
  }
}
