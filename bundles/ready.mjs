/**
 * Brings a fresh clone to where tsrun can run: installs the packages and builds, each only when needed. On its own
 * (`node bundles/ready.mjs`) it only installs.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** The built command. */
export const command = path.join(top, 'dist/bin/main.js');
/** The same for machines without Node. */
export const executable = path.join(top, 'dist/tsrun');

/** What the built command is made of. */
const SOURCES = [
  'src',
  'schemas',
  'packaging',
  'package.json',
  'tsconfig.json',
  'tsconfig.base.json',
  'tsconfig.pure.json',
];
/** The build writes it, so it says nothing about whether one is due. */
const GENERATED = path.join(top, 'src/spec/generated');

/** Installs the locked packages, unless they are there and as new as the lock file. Returns whether they are there now. */
export function ensureInstalled() {
  const installed = modified(path.join(top, 'node_modules/.package-lock.json'));
  if (installed >= modified(path.join(top, 'package-lock.json'))) return true;
  announce('installing packages');
  return run('npm', ['ci', '--no-audit', '--no-fund']) === 0;
}

/** Builds dist/, unless it is newer than all that it is made of. Returns whether it is there now. */
export function ensureBuilt() {
  if (!ensureInstalled()) return false;
  const newest = Math.max(...SOURCES.map((source) => newestBelow(path.join(top, source))));
  if (modified(command) >= newest) return true;
  announce('building');
  return run('npm', ['run', '--silent', 'build']) === 0;
}

/** Makes the executable of what is built, unless it is newer. Returns whether it is there now. */
export function ensureExecutable() {
  if (!ensureBuilt()) return false;
  if (modified(executable) >= modified(command)) return true;
  announce('making the executable');
  return run(process.execPath, [path.join(top, 'packaging/executable.mjs')]) === 0;
}

/**
 * The same for another architecture (Node's name of it), whose engines are in `node_modules` of a directory; below dist/executables.
 * Returns the folder of it; nothing when it could not be made.
 * @param {string} arch
 * @param {string} packages
 */
export function ensureForeignExecutable(arch, packages) {
  if (!ensureBuilt()) return undefined;
  const output = path.join(top, 'dist/executables', arch);
  if (modified(path.join(output, 'tsrun')) >= modified(command)) return output;
  announce(`making the executable for ${arch}`);
  const args = ['--arch', arch, '--packages', packages, '--output', output];
  return run(process.execPath, [path.join(top, 'packaging/executable.mjs'), ...args]) === 0 ? output : undefined;
}

/**
 * Runs a program with this one's descriptors in the project's folder. Returns its exit code, 128 after a signal.
 * @param {string} file
 * @param {readonly string[]} args
 */
export function run(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: top, stdio: 'inherit' });
  if (error !== undefined) throw error;
  return status ?? 128;
}

/** @param {string} what */
function announce(what) {
  process.stderr.write(`tsrun: ${what}\n`);
}

/**
 * Time of the last change in ms; 0 when there is no such file.
 * @param {string} file
 */
function modified(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * @param {string} file
 * @returns {number}
 */
function newestBelow(file) {
  if (file === GENERATED) return 0;
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  const times = fs.readdirSync(file).map((name) => newestBelow(path.join(file, name)));
  return Math.max(0, ...times);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !ensureInstalled()) process.exitCode = 1;
