/** `npm run conformance`: builds what is missing, bundles the suite into dist/conformance, and runs it. Usage: README.md. */
import path from 'node:path';
import { ensureBuilt, top } from '../bundles/ready.mjs';
import { load } from '../bundles/untyped.mjs';

if (!ensureBuilt()) process.exit(1);
const { buildSync } = await import('esbuild');
const outdir = path.join(top, 'dist/conformance');
buildSync({
  absWorkingDir: top,
  entryPoints: ['conformance/main.ts', 'conformance/worker.ts'],
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  outExtension: { '.js': '.mjs' },
  outdir,
  logLevel: 'warning',
});
const { main } = /** @type {import('./main.ts')} */ (await load(path.join(outdir, 'main.mjs')));
process.exitCode = await main(process.argv.slice(2), top);
