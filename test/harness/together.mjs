/**
 * Runs several test files in this process, one after the other, each as a subtest with the name of the file. Their `tap` is that
 * subtest (pack.mjs sees to it), so that a file reads and does the same here as in a process of its own.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import root from 'tap';
import { announce } from './summary.mjs';

/** @type {import('tap').Test} */
let current = root;

/** The `tap` of the file that is being loaded. */
export function currentTest() {
  return current;
}

/**
 * @param {Readonly<Record<string, () => Promise<unknown>>>} files path below the working directory -> loads it
 * @param {number} seconds how long a file may take
 * @param {{ only?: readonly string[], fixtures?: string }} [options] which of the files, in this order, and where they make theirs
 */
export async function runTogether(files, seconds, { only = Object.keys(files), fixtures = '.tap/fixtures' } = {}) {
  root.setTimeout(0);
  const isAlone = only.length === 1;
  for (const file of only) {
    announce(file);
    const before = lookAround();
    // The name that a process of its own gives it; it has to be short enough for the address of a socket.
    const testdir = path.resolve(fixtures, file.replaceAll('/', '-'));
    await root.test(file, { timeout: seconds * 1000, testdir }, async (t) => {
      current = t;
      await files[file]?.();
    });
    if (isAlone) break;
    const after = lookAround();
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
      if (before[name] !== after[name])
        root.fail(`${file} leaves ${name} as ${after[name]}, and found ${before[name]}`);
  }
  announce('');
  root.end();
}

/**
 * What the next file would find changed.
 * @returns {Record<string, string | undefined>}
 */
function lookAround() {
  return {
    // process.umask() would write it.
    umask: /^Umask:\t(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1],
    'working directory': process.cwd(),
    'exit code': String(process.exitCode),
    ...Object.fromEntries(Object.entries(process.env).map(([name, value]) => [`variable ${name}`, value])),
  };
}
