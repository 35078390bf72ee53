#!/usr/bin/env node
/**
 * Entry of the command on Node: runs `command.js`, which the build made of main.ts, with the code that V8 compiled of it then.
 *
 * Compiling takes longer than most commands do. V8 itself refuses a cache of another version, other flags or a script of
 * another length; then, and without a cache, the script is compiled as usual. One of another architecture it takes, and crashes: so the
 * file is named after it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Script } from 'node:vm';

const SCRIPT_FILE = path.join(__dirname, 'command.js');
const CACHE_FILE = path.join(__dirname, `command-${process.arch}.cache`);

/** The parameters that Node gives a CommonJS module, in its order. */
const PARAMETERS = 'exports, require, module, __filename, __dirname';

/** The command, ready to run; the build takes V8's cache from `script`. */
export interface CompiledCommand {
  readonly script: Script;
  /** Where its cache is, or would be. */
  readonly cacheFile: string;
  run(): void;
}

/** Compiles the command, or takes what was compiled. The build calls it too, to make the cache. */
export function compileCommand(): CompiledCommand {
  const cachedData = readCache();
  // In one line, so that the lines of a stack trace are those of the file.
  const source = `(function (${PARAMETERS}) {${readFileSync(SCRIPT_FILE, 'utf8')}\n})`;
  const script = new Script(source, {
    filename: SCRIPT_FILE,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  return {
    script,
    cacheFile: CACHE_FILE,
    run() {
      const main = script.runInThisContext() as (...args: unknown[]) => void;
      main(module.exports, require, module, SCRIPT_FILE, __dirname);
    },
  };
}

function readCache(): Buffer | undefined {
  try {
    return readFileSync(CACHE_FILE);
  } catch {
    return undefined;
  }
}

if (require.main === module) compileCommand().run();
