/**
 * Makes the rootfs of every bundle here: `node bundles/prepare.mjs [NAME ...]`. Needs no network and nothing installed but
 * Node; bundles on busybox also need Debian's busybox-static.
 *
 * It may run any number of times, also several at once: what is there already stays as it is.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseJson } from './untyped.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Directories of every rootfs; the runtime makes further mount points itself. */
const DIRECTORIES = ['dev', 'etc', 'home', 'mnt', 'proc', 'root', 'run', 'sys', 'tmp', 'var'];
/** What a merged /usr leaves behind as links at the top. Which of them exist depends on distribution and architecture. */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];
const BUSYBOX = '/bin/busybox';

/** The bundle whose rootfs is a copy of busybox; the demonstrations copy it. All others use the host's /usr. */
const ON_BUSYBOX = 'busybox';

/** The demonstrations in the order of a reader; `npm start -- tour` runs them so. */
export const TOUR = [
  'default',
  'chroot',
  'namespaces',
  'pid1',
  'mounts',
  'ipc-uts',
  'users',
  'join',
  'networks',
  'cpu',
  'memory',
  'io',
  'freezer',
  'devices',
  'limits',
  'capabilities',
  'sysctl',
  'seccomp',
  'landlock',
  'hooks',
  'layers',
  'image',
  'shell',
];

/**
 * Other words for some of them.
 * @type {Readonly<Record<string, string>>}
 */
const ALSO = {
  'all-namespaces': 'namespaces',
  bridge: 'networks',
  busybox: 'shell',
  overlay: 'layers',
  propagation: 'mounts',
  'user-namespace': 'users',
};

/**
 * Names of all bundles, in the order of a reader.
 * @returns {string[]}
 */
export function bundleNames() {
  const isBundle = (/** @type {fs.Dirent} */ { name }) =>
    isDemonstration(name) ||
    name === ON_BUSYBOX ||
    (!(name in ALSO) && fs.existsSync(path.join(here, name, 'config.json')));
  const place = (/** @type {string} */ name) => (TOUR.includes(name) ? TOUR.indexOf(name) : TOUR.length);
  return fs
    .readdirSync(here, { withFileTypes: true })
    .filter(isBundle)
    .map(({ name }) => name)
    .sort((one, other) => place(one) - place(other) || one.localeCompare(other));
}

/**
 * The bundle that a reader means. Throws a `HintError` when there is none.
 * @param {string} word
 * @returns {string}
 */
export function findBundle(word) {
  const name = Object.hasOwn(ALSO, word) ? ALSO[word] : word;
  if (name === undefined || !bundleNames().includes(name)) {
    throw new HintError(`no bundle is called ${JSON.stringify(word)}; there are: ${bundleNames().join(', ')}`);
  }
  return name;
}

/**
 * Whether a bundle has a script that runs its containers; the others are a config alone.
 * @param {string} name
 */
export function isDemonstration(name) {
  return fs.existsSync(path.join(here, name, 'demo.sh'));
}

/**
 * What a bundle is about, in one line: the first comment of its script, or what its config.json says.
 * @param {string} name
 * @returns {string}
 */
export function describe(name) {
  if (isDemonstration(name)) {
    const [, comment = ''] = fs.readFileSync(path.join(here, name, 'demo.sh'), 'utf8').split('\n');
    return comment.replace(/^# /, '');
  }
  const { annotations } = /** @type {{ annotations: Record<string, string> }} */ (
    parseJson(fs.readFileSync(path.join(here, name, 'config.json'), 'utf8'))
  );
  return annotations['org.tsrun.about'] ?? '';
}

/**
 * Makes one bundle ready and returns its directory: the rootfs of its config.json, or that of busybox for a demonstration
 * without one. Throws a `HintError` when the machine lacks something.
 * @param {string} name
 * @returns {string}
 */
export function prepareBundle(name) {
  if (!bundleNames().includes(name)) throw new HintError(`no bundle is called ${JSON.stringify(name)}`);
  if (isDemonstration(name)) prepareRootfs(ON_BUSYBOX);
  if (fs.existsSync(path.join(here, name, 'config.json'))) prepareRootfs(name);
  return path.join(here, name);
}

/** @param {string} name */
function prepareRootfs(name) {
  const rootfs = path.join(here, name, 'rootfs');
  for (const directory of DIRECTORIES) fs.mkdirSync(path.join(rootfs, directory), { recursive: true });
  fs.chmodSync(path.join(rootfs, 'tmp'), 0o1777);
  if (name === ON_BUSYBOX) installBusybox(rootfs);
  else linkUsr(rootfs);
  copyFiles(path.join(here, 'etc'), path.join(rootfs, 'etc'));
}

/** Something the reader can mend; its message is all there is to say. */
export class HintError extends Error {}

/** @param {string} rootfs */
function linkUsr(rootfs) {
  fs.mkdirSync(path.join(rootfs, 'usr'), { recursive: true });
  for (const name of MERGED) {
    const stat = fs.lstatSync(`/${name}`, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (!stat.isSymbolicLink()) throw new HintError(`/${name} is no link into /usr: these bundles need a merged /usr`);
    ensureLink(`usr/${name}`, path.join(rootfs, name));
  }
}

/** @param {string} rootfs */
function installBusybox(rootfs) {
  const stat = fs.statSync(BUSYBOX, { throwIfNoEntry: false });
  if (stat === undefined || isDynamic(BUSYBOX)) {
    throw new HintError('a static /bin/busybox is missing; on Debian: apt-get install busybox-static');
  }
  const bin = path.join(rootfs, 'bin');
  const copy = path.join(bin, 'busybox');
  fs.mkdirSync(bin, { recursive: true });
  const isCurrent = fs.statSync(copy, { throwIfNoEntry: false })?.mtimeMs === stat.mtimeMs;
  if (isCurrent) return;
  for (const applet of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n')) {
    if (applet !== '' && applet !== 'busybox') ensureLink('busybox', path.join(bin, applet));
  }
  // The copy comes last and with the time of the original, so that an interrupted run is not taken for a finished one.
  const unfinished = `${copy}.${process.pid}`;
  fs.copyFileSync(BUSYBOX, unfinished);
  fs.chmodSync(unfinished, 0o755);
  fs.utimesSync(unfinished, stat.atime, stat.mtime);
  fs.renameSync(unfinished, copy);
}

/**
 * Whether an ELF64 file asks for a dynamic loader: it has a program header of the type PT_INTERP, 3.
 * @param {string} file
 */
function isDynamic(file) {
  const bytes = fs.readFileSync(file);
  const [offset, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => bytes.readUInt32LE(offset + index * size)).includes(3);
}

/**
 * @param {string} target
 * @param {string} link
 */
function ensureLink(target, link) {
  try {
    fs.symlinkSync(target, link);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
function copyFiles(from, to) {
  for (const name of fs.readdirSync(from))
    writeText(path.join(to, name), fs.readFileSync(path.join(from, name), 'utf8'));
}

/**
 * Writes a file unless it says the same already: a container may be reading it.
 * @param {string} file
 * @param {string} text
 */
function writeText(file, text) {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) return;
  fs.writeFileSync(file, text);
}

/** @param {readonly string[]} names */
function main(names) {
  for (const name of names.length > 0 ? names : bundleNames()) {
    try {
      prepareBundle(name);
      console.log(`${name}: ready`);
    } catch (error) {
      if (!(error instanceof HintError)) throw error;
      console.log(`${name}: not ready: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
