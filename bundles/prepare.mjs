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

/** Bundles whose programs come from a copy of busybox; all others use the host's /usr. */
const ON_BUSYBOX = new Set(['busybox']);

/** Bundles that change the network they are started in, and so must be started in a new one. */
const IN_NEW_NETWORK = new Set(['bridge']);

/**
 * Steps for one bundle only, after its rootfs.
 * @type {Readonly<Record<string, (bundle: string) => void>>}
 */
const EXTRAS = { bridge: prepareBridge, overlay: prepareOverlay, 'user-namespace': giveToMappedRoot };

/**
 * What `bridge` needs of the host: any one of these programs, and the package that has it.
 * @type {readonly (readonly [programs: readonly string[], debianPackage: string])[]}
 */
const BRIDGE_TOOLS = [
  [['ip'], 'iproute2'],
  [['nsenter'], 'util-linux'],
  [['ping', 'busybox'], 'iputils-ping'],
];

/**
 * Names of all bundles, sorted.
 * @returns {string[]}
 */
export function bundleNames() {
  const isBundle = (/** @type {fs.Dirent} */ { name }) =>
    ['config.json', 'config.template.json'].some((file) => fs.existsSync(path.join(here, name, file)));
  const entries = fs.readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return entries
    .filter(isBundle)
    .map(({ name }) => name)
    .sort();
}

/**
 * Makes one bundle ready and returns its directory. Throws a `HintError` when the machine lacks something.
 * @param {string} name
 * @returns {string}
 */
export function prepareBundle(name) {
  if (!bundleNames().includes(name)) {
    throw new HintError(`no bundle is called ${JSON.stringify(name)}; there are: ${bundleNames().join(', ')}`);
  }
  const bundle = path.join(here, name);
  const rootfs = path.join(bundle, 'rootfs');
  for (const directory of DIRECTORIES) fs.mkdirSync(path.join(rootfs, directory), { recursive: true });
  fs.chmodSync(path.join(rootfs, 'tmp'), 0o1777);
  if (ON_BUSYBOX.has(name)) installBusybox(rootfs);
  else linkUsr(rootfs);
  copyFiles(path.join(here, 'etc'), path.join(rootfs, 'etc'));
  EXTRAS[name]?.(bundle);
  return bundle;
}

/**
 * The command line that runs a bundle, made of the one that runs tsrun on it.
 * @param {string} name
 * @param {string[]} commandLine
 * @returns {string[]}
 */
export function launchLine(name, commandLine) {
  return IN_NEW_NETWORK.has(name) ? ['unshare', '--net', ...commandLine] : commandLine;
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
 * The layers of an overlay file system, and a config.json that names them: mount(2) knows no bundle, its paths are absolute.
 * @param {string} bundle
 */
function prepareOverlay(bundle) {
  const layer = (/** @type {string[]} */ ...parts) => path.join(bundle, 'layers', ...parts);
  for (const name of ['lower', 'upper', 'work']) fs.mkdirSync(layer(name), { recursive: true });
  for (const name of ['kept', 'changed', 'deleted']) writeText(layer('lower', name), `${name}: from the lower layer\n`);
  writeText(layer('upper', 'changed'), 'changed: from the upper layer\n');
  writeText(layer('upper', 'added'), 'added: from the upper layer\n');
  fs.rmSync(layer('upper', 'written'), { force: true });
  ensureWhiteout(layer('upper', 'deleted'));
  completeTemplate(bundle);
}

/**
 * The hooks are run outside the bundle, so that config.json names their script by its absolute path.
 * @param {string} bundle
 */
function prepareBridge(bundle) {
  for (const [tools, debianPackage] of BRIDGE_TOOLS) {
    if (!tools.some(isInstalled)) {
      throw new HintError(`${tools.join(' or ')} is missing; on Debian: apt-get install ${debianPackage}`);
    }
  }
  completeTemplate(bundle);
}

/** @param {string} bundle */
function completeTemplate(bundle) {
  const template = fs.readFileSync(path.join(bundle, 'config.template.json'), 'utf8');
  writeText(path.join(bundle, 'config.json'), template.replaceAll('@bundle@', bundle));
}

/**
 * Whether the hooks and the container find a program; both have these directories in their PATH.
 * @param {string} tool
 */
function isInstalled(tool) {
  return ['/usr/sbin', '/usr/bin'].some((directory) => fs.existsSync(path.join(directory, tool)));
}

/**
 * The rootfs belongs to the container's root, which is another user of the host: else nothing could be made in it.
 * @param {string} bundle
 */
function giveToMappedRoot(bundle) {
  const { linux } = /** @type {{ linux: { uidMappings: [{ hostID: number }], gidMappings: [{ hostID: number }] } }} */ (
    parseJson(fs.readFileSync(path.join(bundle, 'config.json'), 'utf8'))
  );
  const [uid, gid] = [linux.uidMappings[0].hostID, linux.gidMappings[0].hostID];
  const rootfs = path.join(bundle, 'rootfs');
  for (const name of ['.', ...fs.readdirSync(rootfs)]) fs.lchownSync(path.join(rootfs, name), uid, gid);
}

/**
 * overlayfs hides a file of a lower layer behind a character device 0:0 of the same name.
 * @param {string} file
 */
function ensureWhiteout(file) {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isCharacterDevice() === true) return;
  execFileSync('mknod', [file, 'c', '0', '0'], { stdio: ['ignore', 'ignore', 'inherit'] });
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
