/**
 * Engines of another architecture than this machine's, from npm: they are fetched, and not installed, since none of them runs here.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';

/** Node's name of an architecture -> Bun's. */
const BUN_NAMES = new Map([
  ['x64', 'x64'],
  ['arm64', 'aarch64'],
]);

/**
 * Fetches Node, Bun and koffi's module into `DIRECTORY/node_modules`, unless they are there: Node of the version that runs this, the
 * others as package-lock.json has them.
 * @param {string} arch Node's name of the architecture
 * @param {string} directory
 */
export function fetchPackages(arch, directory) {
  const text = fs.readFileSync(path.join(top, 'package-lock.json'), 'utf8');
  const { packages: lock } =
    /** @type {{ packages: Readonly<Record<string, { version: string, integrity: string }>> }} */ (parseJson(text));
  fetchPackage(directory, { name: `node-linux-${arch}`, version: process.versions.node });
  for (const name of [`@oven/bun-linux-${BUN_NAMES.get(arch)}`, `@koromix/koffi-linux-${arch}`]) {
    const entry = lock[`node_modules/${name}`];
    if (entry === undefined) throw new Error(`package-lock.json has no ${name}`);
    fetchPackage(directory, { name, ...entry });
  }
}

/**
 * @param {string} directory
 * @param {{ name: string, version: string, integrity?: string }} wanted
 */
function fetchPackage(directory, { name, version, integrity }) {
  const target = path.join(directory, 'node_modules', name);
  if (readVersion(target) === version) return;
  console.log(`test/vm: fetching ${name} ${version}`);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const scratch = fs.mkdtempSync(path.join(directory, 'fetch-'));
  try {
    const args = ['pack', '--json', '--pack-destination', scratch, `${name}@${version}`];
    const output = execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    const [packed] = /** @type {{ filename: string, integrity: string }[]} */ (parseJson(output));
    if (packed === undefined) throw new Error(`npm pack ${name}@${version} has made nothing`);
    if (integrity !== undefined && packed.integrity !== integrity)
      throw new Error(`${name} ${version} is ${packed.integrity}, wanted ${integrity} as package-lock.json says`);
    execFileSync('tar', ['-xzf', path.join(scratch, packed.filename), '-C', scratch]);
    fs.rmSync(target, { recursive: true, force: true });
    fs.renameSync(path.join(scratch, 'package'), target);
  } finally {
    fs.rmSync(scratch, { recursive: true });
  }
}

/**
 * @param {string} directory of a package
 * @returns {string | undefined}
 */
function readVersion(directory) {
  const file = path.join(directory, 'package.json');
  if (!fs.existsSync(file)) return undefined;
  return /** @type {{ version: string }} */ (parseJson(fs.readFileSync(file, 'utf8'))).version;
}
