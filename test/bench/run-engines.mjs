/** Bundles the bench of engines, which uses what the tests of engines use, runs it, and writes test/bench/ENGINES.md. */
import * as fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureExecutable, top } from '../../bundles/ready.mjs';
import { load } from '../../bundles/untyped.mjs';
import { packProgram } from '../harness/pack.mjs';
import { describeEngines } from './engine-report.mjs';

const RESULTS = path.join(top, 'test/bench/ENGINES.md');

/**
 * Returns the exit code. Where only some rows are wanted nothing is written.
 * @param {{ rounds: number, only: string }} options
 */
export async function benchEngines({ rounds, only }) {
  if (!ensureExecutable()) return 1;
  // The support of tests finds what is built from there.
  process.chdir(top);
  const directory = path.join(top, `node_modules/.cache/tsrun/bench-${process.pid}`);
  try {
    const podsScript = await packProgram('test/bench/pods.ts', directory);
    const file = await packProgram('test/bench/engine-tables.ts', directory);
    const { measureTables } = /** @type {typeof import('./engine-tables.ts')} */ (await load(pathToFileURL(file).href));
    const report = describeEngines(await measureTables({ rounds, only, podsScript }));
    console.log(report);
    if (only === '') fs.writeFileSync(RESULTS, report);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
  return Number(process.exitCode ?? 0);
}
