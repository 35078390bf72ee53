/** `npm start [-- NAME]`: makes everything ready that is not, and runs a bundle of this folder. */
import { HintError, launchLine, prepareBundle } from './prepare.mjs';
import { command, ensureBuilt, run } from './ready.mjs';

const name = process.argv[2] ?? 'default';

function main() {
  if (process.getuid?.() !== 0) return fail('a container needs root here: sudo npm start');
  let bundle;
  try {
    bundle = prepareBundle(name);
  } catch (error) {
    if (error instanceof HintError) return fail(error.message);
    throw error;
  }
  if (!ensureBuilt()) return 1;
  const tsrun = [process.execPath, command, 'run', '--bundle', bundle, `tsrun-${name}-${process.pid}`];
  const [file = '', ...args] = launchLine(name, tsrun);
  return run(file, args);
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`tsrun: ${message}\n`);
  return 1;
}

// The terminal sends Ctrl-C to tsrun as well, which passes it on; this process only waits.
process.on('SIGINT', () => {});
process.exitCode = main();
