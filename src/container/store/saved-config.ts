import type { Config } from '../../spec/generated/config.ts';
import { loadConfig } from '../../spec/validate.ts';
import { doesNotExist, type StateDirectory } from './directory.ts';

/** The configuration that a container was created with. Errors: `not-found`, `state`, `config`. */
export function readSavedConfig(directory: StateDirectory): Config {
  const text = directory.readConfigText();
  if (text === undefined) throw doesNotExist(directory.id);
  return loadConfig(text).config;
}
