import type { RunningCommand } from '../../live/support/command.ts';
import { waitFor } from '../../live/support/wait.ts';
import type { Surroundings } from './surroundings.ts';

/** Longer than any test file runs; the end of the surroundings ends a daemon in any case. */
const LIFE_MS = 1_200_000;
const START_MS = 60_000;
/** A daemon ends its containers' leftovers first. */
const STOP_MS = 30_000;
/** Lines of its log that a failed test shows. */
const LOG_LINES = 80;

/** Who hears what a daemon did wrong: a test, or another program that uses it. */
export interface Listener {
  fail(message: string): unknown;
  passing(): boolean;
  comment(text: string): unknown;
}

/** A daemon of an engine inside surroundings, with its log. */
export class Daemon {
  readonly name: string;
  readonly #inside: Surroundings;
  readonly #pidFile: string;
  readonly #command: RunningCommand;
  #hasEnded = false;

  constructor(inside: Surroundings, name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.#inside = inside;
    this.#pidFile = inside.fresh(`${name}.pid`);
    // One that is entered is not a child of the tests: its pid is known only inside.
    const script = 'echo $$ >"$1"; shift; exec "$@" 2>&1';
    this.#command = inside.start(['sh', '-c', script, 'sh', this.#pidFile, ...argv], { timeoutMs: LIFE_MS, env });
    void this.#command.done.then(() => {
      this.#hasEnded = true;
    });
  }

  /** Everything it has said by now. */
  log(): string {
    return this.#command.output();
  }

  /** Waits until a command that asks it succeeds. */
  async untilAnswer(argv: readonly string[]): Promise<void> {
    await waitFor(async () => {
      if (this.#hasEnded) throw new Error(`${this.name} has ended:\n${this.log()}`);
      return (await this.#inside.run(argv)).code === 0;
    }, START_MS);
  }

  /** Ends it with a signal, and says its last lines if the test has failed by now. */
  async stop(t: Listener, signal: 'TERM' | 'KILL' = 'TERM'): Promise<void> {
    await this.#inside.run(['sh', '-c', 'kill "-$2" "$(cat "$1")"', 'sh', this.#pidFile, signal]);
    await waitFor(() => this.#hasEnded, STOP_MS).catch(() => t.fail(`${this.name} ends at SIG${signal}`));
    if (t.passing()) return;
    for (const line of this.log().trimEnd().split('\n').slice(-LOG_LINES)) t.comment(`${this.name}: ${line}`);
  }
}
