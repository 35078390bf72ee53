/**
 * Bundles test files for a few processes: a process a file, each with a loader of TypeScript of its own, costs more than the tests.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { top } from '../../bundles/ready.mjs';

const TOGETHER = path.join(top, 'test/harness/together.mjs');

const BUNDLED = /** @type {const} */ ({
  absWorkingDir: top,
  bundle: true,
  sourcemap: 'linked',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});

/**
 * Writes a script for each group of test files. Packages stay outside, and are found from the directory, which is below the project.
 * @param {ReadonlyMap<string, readonly string[]>} groups name of a script -> test files, relative to the project
 * @param {{ directory: string, seconds: number, choice?: string }} options where to, how long a file may take, and the expression
 *   that tells a script which of its files it runs
 */
export async function pack(groups, { directory, seconds, choice = '{}' }) {
  await esbuild.build({
    ...BUNDLED,
    entryPoints: Object.fromEntries([...groups.keys()].map((name) => [name, `group:${name}`])),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    plugins: [groupsAsEntries(groups, `${seconds}, ${choice}`), tapOfEachFile, placeOfEachFile],
  });
}

/**
 * Writes one script of a program in TypeScript that is no test. Returns its path.
 * @param {string} file relative to the project
 * @param {string} directory below the project, for the same reason
 */
export async function packProgram(file, directory) {
  const outfile = path.join(directory, `${path.basename(file, '.ts')}.mjs`);
  await esbuild.build({
    ...BUNDLED,
    entryPoints: [file],
    outfile,
    plugins: [withoutTap, placeOfEachFile],
  });
  return outfile;
}

/**
 * @param {ReadonlyMap<string, readonly string[]>} groups
 * @param {string} settings the other arguments of runTogether()
 * @returns {import('esbuild').Plugin}
 */
function groupsAsEntries(groups, settings) {
  return {
    name: 'groups as entries',
    setup(build) {
      build.onResolve({ filter: /^group:/ }, ({ path: name }) => ({
        path: name.slice('group:'.length),
        namespace: 'group',
      }));
      build.onLoad({ filter: /./, namespace: 'group' }, ({ path: name }) => {
        const files = (groups.get(name) ?? []).map((file) => `${JSON.stringify(file)}: () => import('./${file}')`);
        const contents = `
          import { runTogether } from ${JSON.stringify(TOGETHER)};
          await runTogether({ ${files.join(', ')} }, ${settings});`;
        return { contents, resolveDir: top };
      });
    },
  };
}

/**
 * `import t from 'tap'` of a test file is the subtest of that file.
 * @type {import('esbuild').Plugin}
 */
const tapOfEachFile = {
  name: 'tap of each file',
  setup(build) {
    build.onResolve({ filter: /^tap$/ }, ({ importer }) => {
      if (importer === TOGETHER) return { path: 'tap', external: true };
      if (importer.endsWith('.test.ts')) return { path: importer, namespace: 'tap' };
      return {
        errors: [{ text: `Pass the test to ${path.relative(top, importer)}: files that share it have each their own` }],
      };
    });
    build.onLoad({ filter: /./, namespace: 'tap' }, () => ({
      contents: `import { currentTest } from ${JSON.stringify(TOGETHER)}; export default currentTest();`,
      resolveDir: top,
    }));
  },
};

/**
 * Who uses the support of tests, and is none: tap would end the process as a test that takes too long.
 * @type {import('esbuild').Plugin}
 */
const withoutTap = {
  name: 'without tap',
  setup(build) {
    build.onResolve({ filter: /^tap$/ }, () => ({ path: 'tap', namespace: 'without tap' }));
    build.onLoad({ filter: /./, namespace: 'without tap' }, () => ({ contents: 'export default undefined;' }));
  },
};

/**
 * What a file finds relative to itself it finds where its source is.
 * @type {import('esbuild').Plugin}
 */
const placeOfEachFile = {
  name: 'place of each file',
  setup(build) {
    build.onLoad({ filter: /\.(ts|mjs)$/ }, async ({ path: file }) => {
      const text = await fs.promises.readFile(file, 'utf8');
      if (!text.includes('import.meta.')) return undefined;
      const { code } = await esbuild.transform(text, {
        loader: file.endsWith('.ts') ? 'ts' : 'js',
        target: 'node20',
        sourcefile: file,
        sourcemap: 'inline',
        define: { 'import.meta.url': JSON.stringify(pathToFileURL(file).href) },
      });
      return { contents: code, loader: 'js' };
    });
  },
};
