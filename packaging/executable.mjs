/**
 * Makes the executable: `npm run build:exe`. Node need not be installed where it runs.
 *
 * `node packaging/executable.mjs --arch arm64 --packages DIRECTORY --output DIRECTORY` makes that of another architecture (Node's name of
 * it): its Bun and koffi's module for it are in `node_modules` of the first directory.
 *
 * - `dist/tsrun`       what people run: the launcher of src/init/launcher/launcher.ts, which executes the next
 * - `dist/containerd-shim-tsrun-v2`  what containerd runs: the one of src/init/launcher/shim.ts, which does so too
 * - `dist/tsrun-cold`  the command of `npm run build`, compiled ahead of time, and Bun's engine in one file
 * - `dist/koffi.node`  koffi's module
 *
 * The four belong together, wherever they are put. A packager who puts the launcher elsewhere names the directory of the others
 * in `TSRUN_LIBEXEC`.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { emitLauncher } from '../dist/lib/init/launcher/launcher.js';
import { emitShimLauncher } from '../dist/lib/init/launcher/shim.js';
import { ENGINE_FILE, LAUNCHER_FILE, SHIM_FILE } from '../dist/lib/util/launched.js';
import { bundleCommand, identifyBuild, SHIM, top } from './bundle.mjs';
import { keepOnly, SCRIPTS, SHIM_SCRIPT, WHOLE } from './scripts.mjs';

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    packages: { type: 'string', default: top },
    output: { type: 'string', default: path.join(top, 'dist') },
  },
});
const directory = path.resolve(options.output);
const INSTALLED = path.resolve(process.env.TSRUN_LIBEXEC ?? '/usr/local/libexec/tsrun');
const KOFFI_FILE = 'koffi.node';
/** What yargs loads at once and uses hardly ever: on Bun these modules take a fifth of the shortest command's time. */
const LAZY_MODULES = path.join(top, 'packaging/lazy-modules.cjs');
const require = createRequire(import.meta.url);

const COMPILE = [
  '--compile',
  '--bytecode',
  // A command is over before machine code pays; without this, compiling takes a third of the time of `run`.
  '--compile-jit-policy=100',
  // Identifiers stay: the traces of bugs have nothing else to tell, and in scripts of this size shorter ones save no time.
  '--minify-whitespace',
  '--minify-syntax',
  // The working directory of a runtime is a stranger's bundle: nothing in it is for the engine to read.
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
  '--no-compile-autoload-tsconfig',
  '--no-compile-autoload-package-json',
];

/** Node's name of an architecture -> Bun's, and the launcher's. */
const ARCHITECTURES = new Map([
  ['x64', /** @type {const} */ ({ bun: 'x64', launcher: 'x86-64' })],
  ['arm64', /** @type {const} */ ({ bun: 'aarch64', launcher: 'arm64' })],
]);

/** @param {string} arch */
function describe(arch) {
  const found = ARCHITECTURES.get(arch);
  if (process.platform !== 'linux' || found === undefined) throw new Error(`no executable for ${arch}`);
  return found;
}

/**
 * The engine of an architecture, of the npm package that has nothing else in it.
 * @param {string} arch
 * @param {string} packages
 */
function findBun(arch, packages) {
  return require.resolve(`@oven/bun-linux-${describe(arch).bun}/bin/bun`, { paths: [packages] });
}

async function main() {
  const { arch, packages } = options;
  fs.mkdirSync(directory, { recursive: true });
  const scratch = fs.mkdtempSync(path.join(directory, 'exe-'));
  try {
    compile(await bundleScripts(scratch), path.join(scratch, ENGINE_FILE));
    const koffi = require.resolve(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`, { paths: [packages] });
    fs.copyFileSync(koffi, path.join(scratch, KOFFI_FILE));
    const installed = path.join(INSTALLED, ENGINE_FILE);
    const build = BigInt(`0x${await identifyBuild()}`);
    const launcher = emitLauncher({ arch: describe(arch).launcher, installed, build });
    fs.writeFileSync(path.join(scratch, LAUNCHER_FILE), launcher, { mode: 0o755 });
    fs.writeFileSync(
      path.join(scratch, SHIM_FILE),
      emitShimLauncher({ arch: describe(arch).launcher, installed, build }),
      {
        mode: 0o755,
      },
    );
    // Renamed, so that a running tsrun keeps the files it has; the one that needs the others is the last.
    for (const name of [KOFFI_FILE, ENGINE_FILE, SHIM_FILE, LAUNCHER_FILE]) {
      readOnce(path.join(scratch, name));
      fs.renameSync(path.join(scratch, name), path.join(directory, name));
    }
  } finally {
    fs.rmSync(scratch, { recursive: true });
  }
}

/**
 * The entry of the executable, then the scripts that it chooses from.
 * @param {string} scratch
 */
async function bundleScripts(scratch) {
  const entry = path.join(scratch, 'entry.js');
  await build({
    entryPoints: [path.join(top, 'packaging/choose-script.cjs')],
    outfile: entry,
    define: {
      TSRUN_SCRIPTS: JSON.stringify(Object.keys(SCRIPTS)),
      TSRUN_WHOLE: JSON.stringify(WHOLE),
      TSRUN_SHIM: JSON.stringify(SHIM_SCRIPT),
    },
  });
  const names = [WHOLE, SHIM_SCRIPT, ...Object.keys(SCRIPTS)];
  const files = names.map((name) => path.join(scratch, `${name}.js`));
  await Promise.all(
    names.map((name, index) => {
      const kept = SCRIPTS[name];
      return bundleCommand({
        outfile: files[index] ?? '',
        define: { TSRUN_KOFFI_FILE: JSON.stringify(KOFFI_FILE), 'import.meta.url': '"file:///"' },
        alias: { util: LAZY_MODULES, 'node:module': LAZY_MODULES },
        ...(name === SHIM_SCRIPT && SHIM),
        ...(kept !== undefined && { plugins: [keepOnly(kept)] }),
      });
    }),
  );
  return [entry, ...files];
}

/**
 * @param {readonly string[]} scripts the first is the entry
 * @param {string} executable
 */
function compile(scripts, executable) {
  const { arch, packages } = options;
  const target = [
    `--target=bun-linux-${describe(arch).bun}`,
    // It fetches no engine.
    `--compile-executable-path=${findBun(arch, packages)}`,
  ];
  const args = ['build', ...scripts, ...COMPILE, ...(arch === process.arch ? [] : target), '--outfile', executable];
  const { status, stderr, error } = spawnSync(findBun(process.arch, top), args, {
    cwd: path.dirname(executable),
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`bun build: exit code ${status}\n${stderr}`);
}

/**
 * Reads a file from front to back. The page cache keeps what was just written in small pieces, and what was read so in large ones, with
 * which every start of the engine is a millisecond shorter.
 * @param {string} file
 */
function readOnce(file) {
  fs.readFileSync(file);
}

await main();
