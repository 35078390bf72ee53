/** Bundles what measures the memory of shims, which uses what the tests of engines use, and runs it. Needs root. */
import * as fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureExecutable, top } from '../../bundles/ready.mjs';
import { load } from '../../bundles/untyped.mjs';
import { packProgram } from '../harness/pack.mjs';

if (!ensureExecutable()) process.exit(1);
// The support of tests finds what is built from there.
process.chdir(top);
const directory = path.join(top, `node_modules/.cache/tsrun/bench-${process.pid}`);
try {
  const file = await packProgram('test/bench/shim-memory.ts', directory);
  const { measureShims } = /** @type {typeof import('./shim-memory.ts')} */ (await load(pathToFileURL(file).href));
  console.log(await measureShims());
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}
