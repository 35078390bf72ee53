/**
 * Makes the executable: `npm run build:exe`. Node need not be installed where it runs.
 *
 * - `dist/tsrun`       what people run: the launcher of src/init/launcher/launcher.ts, which executes the next
 * - `dist/tsrun-cold`  the command of `npm run build`, compiled ahead of time, and Bun's engine in one file
 * - `dist/koffi.node`  koffi's module
 *
 * The three belong together, wherever they are put. A packager who puts the launcher elsewhere names the directory of the other two
 * in `TSRUN_LIBEXEC`.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';
import { emitLauncher } from '../dist/lib/init/launcher/launcher.js';
import { ENGINE_FILE, LAUNCHER_FILE } from '../dist/lib/util/launched.js';
import { bundleCommand, identifyBuild, top } from './bundle.mjs';
import { keepOnly, SCRIPTS, WHOLE } from './scripts.mjs';

const directory = path.join(top, 'dist');
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

/** The engine of this machine's architecture, of the npm package that has nothing else in it. */
function findBun() {
  const name = new Map([
    ['x64', 'x64'],
    ['arm64', 'aarch64'],
  ]).get(process.arch);
  if (process.platform !== 'linux' || name === undefined) throw new Error(`no executable for ${process.arch}`);
  return require.resolve(`@oven/bun-linux-${name}/bin/bun`);
}

function findArch() {
  return process.arch === 'arm64' ? 'arm64' : 'x86-64';
}

async function main() {
  const scratch = fs.mkdtempSync(path.join(directory, 'exe-'));
  try {
    compile(await bundleScripts(scratch), path.join(scratch, ENGINE_FILE));
    const koffi = require.resolve(`@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`);
    fs.copyFileSync(koffi, path.join(scratch, KOFFI_FILE));
    const installed = path.join(INSTALLED, ENGINE_FILE);
    const build = BigInt(`0x${await identifyBuild()}`);
    const launcher = emitLauncher({ arch: findArch(), installed, build });
    fs.writeFileSync(path.join(scratch, LAUNCHER_FILE), launcher, { mode: 0o755 });
    // Renamed, so that a running tsrun keeps the files it has; the one that needs the others is the last.
    for (const name of [KOFFI_FILE, ENGINE_FILE, LAUNCHER_FILE]) {
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
    define: { TSRUN_SCRIPTS: JSON.stringify(Object.keys(SCRIPTS)), TSRUN_WHOLE: JSON.stringify(WHOLE) },
  });
  const names = [WHOLE, ...Object.keys(SCRIPTS)];
  const files = names.map((name) => path.join(scratch, `${name}.js`));
  await Promise.all(
    names.map((name, index) => {
      const kept = SCRIPTS[name];
      return bundleCommand({
        outfile: files[index] ?? '',
        define: { TSRUN_KOFFI_FILE: JSON.stringify(KOFFI_FILE), 'import.meta.url': '"file:///"' },
        alias: { util: LAZY_MODULES, 'node:module': LAZY_MODULES },
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
  const { status, stderr, error } = spawnSync(findBun(), ['build', ...scripts, ...COMPILE, '--outfile', executable], {
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
