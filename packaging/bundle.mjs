/**
 * Makes `dist/bin` of the sources: `node packaging/bundle.mjs`, part of `npm run build`.
 *
 * - `index.mjs`, `chunk-*.mjs`  the library, as ES modules
 * - `command.js`                the command in one CommonJS script, its packages included but koffi
 * - `command-ARCH.cache`        what V8 compiled of that script, so that a start on this architecture compiles nothing again
 * - `main.js`                   runs the script with the cache
 * - `shim.js`                   containerd's shim, in one script likewise
 * - `NOTICES`                   the licences of the packages in them
 *
 * and `dist/types`, the types of the library, and `dist/man`, the manual pages.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describeBuild } from './build-info.mjs';
import { noticesOf } from './notices.mjs';
import { copyTypes } from './types.mjs';

export const top = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const directory = path.join(top, 'dist/bin');

/** @satisfies {import('esbuild').BuildOptions} */
const COMMON = { absWorkingDir: top, bundle: true, platform: 'node', target: 'node20', logLevel: 'warning' };

/** @satisfies {import('esbuild').BuildOptions} */
const COMMAND = {
  entryPoints: ['src/main.ts'],
  format: 'cjs',
  external: ['koffi'],
  // What runs from a cache has no module loader for import(); those of Node's own modules become require().
  supported: { 'dynamic-import': false },
};

/** What makes containerd's shim of it. */
export const SHIM = { entryPoints: ['src/shim-main.ts'] };

/** A script has no import.meta; yargs and the lookup of koffi ask it where they are. */
const SCRIPT = {
  banner: { js: 'const TSRUN_URL = require("node:url").pathToFileURL(__filename).href;' },
  define: { 'import.meta.url': 'TSRUN_URL' },
};

/**
 * Bundles the command into one CommonJS script, or containerd's shim, whose entry is another. Returns what went into it.
 * @param {import('esbuild').BuildOptions & { outfile: string }} options
 */
export async function bundleCommand({ define = {}, ...options }) {
  const { metafile } = await build({
    ...COMMON,
    ...COMMAND,
    ...options,
    metafile: true,
    define: {
      TSRUN_BUILD: JSON.stringify(describeBuild()),
      TSRUN_BUILD_ID: JSON.stringify(await identifyBuild()),
      ...define,
    },
  });
  return metafile;
}

/** @type {Promise<string> | undefined} */
let identity;

/**
 * What a launcher and a planner of one build have in common, whichever engine the planner runs on: 16 hexadecimal digits, of a digest over
 * version, commit and the text of the command.
 */
export function identifyBuild() {
  identity ??= digestBuild();
  return identity;
}

async function digestBuild() {
  const { outputFiles } = await build({
    ...COMMON,
    ...COMMAND,
    outfile: 'command.js',
    write: false,
    logLevel: 'silent',
  });
  const { version, commit } = describeBuild();
  const hash = createHash('sha256').update(`${version}\n${commit}\n`);
  for (const { contents } of outputFiles) hash.update(contents);
  return hash.digest('hex').slice(0, 16);
}

async function bundleLibrary() {
  await build({
    ...COMMON,
    entryPoints: ['src/index.ts'],
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    splitting: true,
    packages: 'external',
    define: { TSRUN_BUILD: JSON.stringify(describeBuild()) },
  });
}

async function bundleLoader() {
  await build({
    ...COMMON,
    entryPoints: { main: 'src/load-command.ts' },
    outdir: directory,
    format: 'cjs',
  });
  fs.chmodSync(path.join(directory, 'main.js'), 0o755);
}

async function main() {
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  // The package as a whole has ES modules.
  fs.writeFileSync(path.join(directory, 'package.json'), '{ "type": "commonjs" }\n');
  // What it reads is not there where somebody else imports this file.
  const { makeManual } = await import('./manual.mjs');
  copyTypes(path.join(top, 'dist/lib'), path.join(top, 'dist/types'));
  const [metafile] = await Promise.all([
    bundleCommand({ outfile: path.join(directory, 'command.js'), ...SCRIPT }),
    bundleLibrary(),
    bundleLoader(),
    makeManual(path.join(top, 'dist/man')),
    bundleCommand({ outfile: path.join(directory, 'shim.js'), ...SHIM, ...SCRIPT }),
  ]);
  fs.writeFileSync(path.join(directory, 'NOTICES'), noticesOf(metafile, top));
  makeCache();
}

/** V8's own version and the architecture decide whether it can be used: this is for the Node that builds. */
function makeCache() {
  const { status, stderr } = spawnSync(process.execPath, [path.join(top, 'packaging/make-cache.cjs'), directory], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`packaging/make-cache.cjs: exit code ${status}\n${stderr}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
