import { loadConfig, type LoadedConfig } from './validate.ts';

const MOST = 16;
/** Of all texts together, characters: what they say takes some times as much memory. */
const LENGTH_MAX = 512 * 1024;

/** The configurations that were read last: a text says the same each time. */
export class KnownConfigs {
  /** Text -> what it says, the one used last at the end. */
  readonly #known = new Map<string, LoadedConfig>();
  #length = 0;

  /** As `loadConfig`. Nobody changes what is answered. Errors: those of `loadConfig`. */
  readonly load = (text: string): LoadedConfig => {
    const loaded = this.#known.get(text) ?? loadConfig(text);
    // It would take the place of all others.
    if (text.length > LENGTH_MAX / 2) return loaded;
    this.#forget(text);
    this.#known.set(text, loaded);
    this.#length += text.length;
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST && this.#length <= LENGTH_MAX) break;
      this.#forget(oldest);
    }
    return loaded;
  };

  #forget(text: string): void {
    if (this.#known.delete(text)) this.#length -= text.length;
  }
}
