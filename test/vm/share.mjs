/**
 * What a machine of test/vm finds in /share: the project as far as the tests need it, and run.sh.
 */
import { build } from 'esbuild';
import * as fs from 'node:fs';
import path from 'node:path';
import { ensureExecutable, ensureForeignExecutable, top } from '../../bundles/ready.mjs';
import { load, parseJson } from '../../bundles/untyped.mjs';
import { identifyBuild } from '../../packaging/bundle.mjs';
import { fetchPackages } from './packages.mjs';

/** What tests read of the project as it is. */
const SOURCES = ['package.json', 'docs/library.md', 'test/live/programs', 'test/engines/support/surroundings.sh'];

/** The executable consists of them, and the launcher. */
const EXECUTABLE_FILES = ['tsrun-cold', 'koffi.node'];
/** The other launcher. */
const SHIM = 'containerd-shim-tsrun-v2';

/** How many times longer everything may take than on a real machine. */
const SLOWNESS = 10;
/** So does a planner, for whose first word launchers wait 50 ms. */
const PATIENCE_MS = 50 * SLOWNESS;

/**
 * Fills a directory, so that paths relative to a file of it lead to the same places as in the project.
 * @param {string} share
 * @param {object} contents
 * @param {string} contents.arch Node's name of the architecture
 * @param {string} contents.cache where packages of another architecture are kept
 * @param {readonly string[]} contents.files all tests, relative to the project
 * @param {readonly import('./configurations.mjs').Job[]} contents.jobs those to run
 * @param {number} contents.seconds how long one of them may take
 * @param {number} contents.parallel how many run at a time
 */
export async function fillShare(share, { arch, cache, files, jobs, seconds, parallel }) {
  const isForeign = arch !== process.arch;
  if (isForeign) fetchPackages(arch, cache);
  await bundleTests(share, files);
  for (const name of SOURCES) fs.cpSync(path.join(top, name), path.join(share, name), { recursive: true });
  const isMade = (/** @type {string} */ file) => path.basename(file) === 'rootfs';
  const bundles = path.join(top, 'bundles');
  fs.cpSync(bundles, path.join(share, 'bundles'), { recursive: true, filter: (file) => !isMade(file) });
  fs.cpSync(path.join(top, 'dist/bin'), path.join(share, 'dist/bin'), { recursive: true });
  const executables = isForeign ? ensureForeignExecutable(arch, cache) : ensureExecutable() && path.join(top, 'dist');
  if (!executables) throw new Error('packaging/executable.mjs has failed');
  for (const name of EXECUTABLE_FILES) fs.copyFileSync(path.join(executables, name), path.join(share, 'dist', name));
  if (!isForeign) fs.copyFileSync(path.join(top, 'dist', SHIM), path.join(share, 'dist', SHIM));
  await writeLauncher(path.join(share, 'dist/tsrun'), arch);
  const node = isForeign ? path.join(cache, `node_modules/node-linux-${arch}/bin/node`) : process.execPath;
  fs.copyFileSync(node, path.join(share, 'node'));
  copyPackages(share);
  const koffi = `node_modules/@koromix/koffi-linux-${arch}`;
  if (isForeign) fs.cpSync(path.join(cache, koffi), path.join(share, koffi), { recursive: true });
  fs.writeFileSync(path.join(share, 'run.sh'), script(jobs, { seconds, parallel }));
}

/**
 * @param {string} share
 * @param {readonly string[]} files
 */
async function bundleTests(share, files) {
  const banner = `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);`;
  await build({
    absWorkingDir: top,
    entryPoints: [...files],
    outbase: '.',
    outdir: share,
    // As deep as what looks for files of the project.
    chunkNames: 'test/live/support/[name]-[hash]',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['koffi'],
    banner: { js: banner },
    logLevel: 'warning',
  });
}

/**
 * The launcher of the executable, with more patience.
 * @param {string} file
 * @param {string} arch
 */
async function writeLauncher(file, arch) {
  const module = await load(path.join(top, 'dist/lib/init/launcher/launcher.js'));
  const { emitLauncher } = /** @type {typeof import('../../dist/lib/init/launcher/launcher.js')} */ (module);
  const launcher = emitLauncher({
    arch: arch === 'arm64' ? 'arm64' : 'x86-64',
    installed: '/nonexistent',
    build: BigInt(`0x${await identifyBuild()}`),
    patienceMs: PATIENCE_MS,
  });
  fs.writeFileSync(file, launcher, { mode: 0o755 });
}

/** @param {string} share */
function copyPackages(share) {
  for (const name of runtimePackages())
    fs.cpSync(path.join(top, 'node_modules', name), path.join(share, 'node_modules', name), { recursive: true });
  // tap would load it to print JSX, which no test has.
  const unused = path.join(share, 'node_modules/react-element-to-jsx-string');
  fs.mkdirSync(unused);
  fs.writeFileSync(path.join(unused, 'index.js'), 'exports.default = String;\n');
}

/** The packages that the built command loads, with those they load themselves. */
function runtimePackages() {
  /** @typedef {{ dependencies?: Record<string, string>, optionalDependencies?: Record<string, string> }} Entry */
  const text = fs.readFileSync(path.join(top, 'package-lock.json'), 'utf8');
  const { packages: lock } = /** @type {{ packages: Readonly<Record<string, Entry>> }} */ (parseJson(text));
  const found = /** @type {Set<string>} */ (new Set());
  const add = (/** @type {string} */ name) => {
    const entry = lock[`node_modules/${name}`];
    if (entry === undefined || found.has(name) || !fs.existsSync(path.join(top, 'node_modules', name))) return;
    found.add(name);
    for (const needed of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) add(needed);
  };
  for (const name of Object.keys(lock['']?.dependencies ?? {})) add(name);
  return found;
}

/**
 * What the machine runs: the tests, each with a line of its own in front of its TAP.
 * @param {readonly import('./configurations.mjs').Job[]} jobs
 * @param {{ seconds: number, parallel: number }} bounds
 */
function script(jobs, { seconds, parallel }) {
  const lines = jobs.map(({ configuration, name, file, env }) => {
    const settings = Object.entries(env).map(([variable, value]) => `${variable}=${value}`);
    return [configuration, name, settings.join(' '), `/share/${file.replace(/\.ts$/, '.mjs')}`].join('|');
  });
  return `
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/var/tmp TSRUN_TEST_SLOWNESS=${SLOWNESS} TAP_TIMEOUT=${seconds}
modprobe -a overlay veth tun fuse bfq
# The scheduler that knows weights of single disks.
echo bfq >/sys/block/vda/queue/scheduler
one() {
  IFS='|' read -r configuration name settings bundle <<<"$1"
  output=$(mktemp)
  start=$SECONDS
  (cd /share && env $settings timeout -k 5 ${seconds} ./node "$bundle") >"$output" 2>&1 || true
  flock /share/run.sh sh -c 'echo "## $1 $2 $3 s"; cat "$4"; echo "## end"' - "$configuration" "$name" $((SECONDS - start)) "$output"
}
export -f one
echo "## started on $(uname -srm)"
printf '%s\\n' ${lines.map((line) => `'${line.replaceAll("'", `'\\''`)}'`).join(' ')} |
  tr '\\n' '\\0' | xargs -0 -n 1 -P ${parallel} bash -c 'one "$1"' -
echo "## all done"
`;
}
