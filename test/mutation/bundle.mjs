/**
 * Bundles the test files that say something of a folder, each with all that it imports of src/ and test/: `bundle.mjs FOLDER`, called
 * by Stryker in its copy of the project, where the sources hold the faults. What comes of it lies in `dist/mutation/tests`.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/**
 * Folder of src/ -> folders of test/ whose tests are about it as well.
 * @type {Readonly<Record<string, readonly string[] | undefined>>}
 */
const ALSO = { program: ['init', 'plan'], process: ['container'] };

const [folder = ''] = process.argv.slice(2);
const [room = ''] = folder.split('/');
const tests = [folder, ...(ALSO[room] ?? [])]
  .map((name) => path.join('test', name))
  .filter((name) => fs.existsSync(name))
  .flatMap((name) => fs.readdirSync(name, { recursive: true, encoding: 'utf8' }).map((file) => path.join(name, file)))
  .filter((name) => name.endsWith('.test.ts'));

await build({
  entryPoints: tests,
  outbase: '.',
  outdir: 'dist/mutation/tests',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
  plugins: [{ name: 'own url', setup: keepUrls }],
});

/**
 * A test finds its fixtures beside its own file.
 * @param {import('esbuild').PluginBuild} esbuild
 */
function keepUrls(esbuild) {
  esbuild.onLoad({ filter: /\.ts$/ }, ({ path: file }) => ({
    contents: fs.readFileSync(file, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href)),
    loader: 'ts',
  }));
}
