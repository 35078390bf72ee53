import path from 'node:path';
import type { Config } from '../../spec/generated/config.ts';
import { loadConfig } from '../../spec/validate.ts';
import type { StateDirectory } from './directory.ts';
import { doesNotExist } from './ids.ts';

/** The configuration that a container was created with, as `load` reads its text. Errors: `not-found`, `state`, `config`. */
export function readSavedConfig(directory: StateDirectory, load: typeof loadConfig = loadConfig): Config {
  const text = directory.readConfigText();
  if (text === undefined) throw doesNotExist(directory.id, path.dirname(directory.path));
  return load(text).config;
}
