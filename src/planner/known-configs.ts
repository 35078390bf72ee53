import { loadConfig, type LoadedConfig } from '../spec/validate.ts';

const MOST = 16;

/** The configurations that were read last: a text says the same each time. */
export class KnownConfigs {
  /** Text -> what it says, the one used last at the end. */
  readonly #known = new Map<string, LoadedConfig>();

  /** As `loadConfig`. Nobody changes what is answered. Errors: those of `loadConfig`. */
  readonly load = (text: string): LoadedConfig => {
    const loaded = this.#known.get(text) ?? loadConfig(text);
    this.#known.delete(text);
    this.#known.set(text, loaded);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest);
    return loaded;
  };
}
