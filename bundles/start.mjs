/**
 * `npm start [-- NAME]`: makes everything ready that is not, and runs a demonstration of this folder, or a bundle that has none.
 * `tour` runs all of them, `--list` names them.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { bundleNames, describe, findBundle, HintError, isDemonstration, prepareBundle, TOUR } from './prepare.mjs';
import { command, ensureBuilt } from './ready.mjs';

/** What lib.sh's `hint` ends with: something is missing on this machine, as has been said. */
const NOT_HERE = 77;
const FORWARDED = /** @type {const} */ (['SIGTERM', 'SIGHUP']);

const word = process.argv[2] ?? 'default';
let interrupted = false;

async function main() {
  if (word === '--list') return list();
  if (process.getuid?.() !== 0) return fail('a container needs root here: sudo npm start');
  if (word === 'tour') return tour();
  try {
    const name = findBundle(word);
    prepareBundle(name);
    return ensureBuilt() ? await runBundle(name, 'inherit') : 1;
  } catch (error) {
    if (error instanceof HintError) return fail(error.message);
    throw error;
  }
}

/** One line for each, in the order of a reader. */
function list() {
  for (const name of bundleNames().filter((name) => findBundle(name) === name))
    console.log(`${name.padEnd(14)} ${describe(name)}`);
  console.log(`${'tour'.padEnd(14)} all of them, one after the other`);
  return 0;
}

async function tour() {
  if (!ensureBuilt()) return 1;
  const began = Date.now();
  /** @type {string[]} */
  const missing = [];
  for (const name of TOUR) {
    try {
      prepareBundle(name);
    } catch (error) {
      if (!(error instanceof HintError)) throw error;
      console.log(`\n${name}: not here: ${error.message}`);
      missing.push(name);
      continue;
    }
    // Nobody is asked anything on the way: a shell reads the end of its input.
    const code = await runBundle(name, 'ignore');
    if (interrupted) return code;
    if (code === NOT_HERE) missing.push(name);
    else if (code !== 0) return fail(`the demonstration ${name} ended with exit code ${code}`);
  }
  const outcome = missing.length === 0 ? 'all of it' : `without ${missing.join(', ')}`;
  console.log(`The tour took ${Math.round((Date.now() - began) / 1000)} seconds, ${outcome}.`);
  return 0;
}

/**
 * Exit code of a bundle's demonstration, or of its container; 128 and the number of a signal.
 * @param {string} name
 * @param {'inherit' | 'ignore'} stdin
 * @returns {Promise<number>}
 */
function runBundle(name, stdin) {
  const directory = path.join(import.meta.dirname, name);
  const id = `tsrun-${name}-${process.pid}`;
  const argv = isDemonstration(name)
    ? ['sh', path.join(directory, 'demo.sh')]
    : [process.execPath, command, 'run', '--bundle', directory, id];
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    stdio: [stdin, 'inherit', 'inherit'],
    // The scripts call this Node, and no other.
    env: { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env.PATH ?? ''}` },
  });
  const forward = (/** @type {NodeJS.Signals} */ signal) => {
    interrupted = true;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      for (const signal of FORWARDED) process.off(signal, forward);
      resolve(code ?? 128);
    });
  });
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`tsrun: ${message}\n`);
  return 1;
}

// The terminal sends Ctrl-C to the demonstration as well, which cleans up; this process only waits.
process.on('SIGINT', () => {
  interrupted = true;
});
process.exitCode = await main();
