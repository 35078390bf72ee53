import type { Config } from '../../spec/generated/config.ts';
import { loadConfig } from '../../spec/validate.ts';
import type { StateDirectory } from './directory.ts';
import { doesNotExist } from './ids.ts';

/** The configuration that a container was created with. Errors: `not-found`, `state`, `config`. */
export function readSavedConfig(directory: StateDirectory): Config {
  const text = directory.readConfigText();
  if (text === undefined) throw doesNotExist(directory.id);
  return loadConfig(text).config;
}
