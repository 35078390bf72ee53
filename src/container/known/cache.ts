import type { Config } from '../../spec/generated/config.ts';
import { KeptLately } from './kept-lately.ts';

/** Of one configuration: hosts, options and lengths of ids that it is used with. */
const MOST = 8;

type Entry<Kept> =
  { readonly state: 'seen' | 'being-made' | 'unfit' } | { readonly state: 'kept'; readonly kept: Kept };

/**
 * What is kept of plans whose like come again, by their configuration and by a key that tells everything else that they were made from.
 * It goes with the configuration: a process that reads the same text twice has to keep what it says (`KnownConfigs`).
 */
export class PlanCache<Kept> {
  readonly #entries = new WeakMap<Config, KeptLately<Entry<Kept>>>();

  /** Undefined where nothing is kept. */
  find(config: Config, key: string): Kept | undefined {
    const entry = this.#entries.get(config)?.get(key);
    return entry?.state === 'kept' ? entry.kept : undefined;
  }

  /** To be told of whatever was not found. What has come twice is made, once, and kept unless that is undefined or fails. */
  learn(config: Config, key: string, make: () => Promise<Kept | undefined>): void {
    const entries = this.#entries.get(config) ?? new KeptLately<Entry<Kept>>(MOST);
    this.#entries.set(config, entries);
    const { state } = entries.get(key) ?? {};
    if (state === undefined) entries.set(key, { state: 'seen' });
    if (state !== 'seen') return;
    entries.set(key, { state: 'being-made' });
    void keep(entries, key, make);
  }
}

async function keep<Kept>(
  entries: KeptLately<Entry<Kept>>,
  key: string,
  make: () => Promise<Kept | undefined>,
): Promise<void> {
  let kept: Kept | undefined;
  try {
    kept = await make();
  } catch {
    // Who asks for such a plan makes it, and says what is wrong.
  }
  entries.set(key, kept === undefined ? { state: 'unfit' } : { state: 'kept', kept });
}
