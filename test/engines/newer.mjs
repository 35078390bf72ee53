/**
 * Engines that are newer than the machine's, from Debian's unstable suite. The machine itself stays as it is: apt has lists, a cache and a
 * status of its own, and packages are unpacked and not installed.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const SUITE = 'sid';
const SOURCES = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Package -> its version from which on it is newer; what it needs comes with it. */
const PACKAGES = { containerd: /^2\./, 'docker.io': /^(2[8-9]|[3-9]\d)\./, 'docker-cli': /^(2[8-9]|[3-9]\d)\./ };

/** What runs on the libc of the machine, as programs in Go do; runc and crun of that suite do not. */
const PROGRAMS = [
  'bin/containerd',
  'bin/containerd-shim-runc-v2',
  'bin/ctr',
  'bin/docker',
  'bin/docker-init',
  'bin/docker-proxy',
  'sbin/docker-proxy',
  'sbin/dockerd',
];

/** What containerd and docker do with tsrun and with its shim. */
const TESTS = ['cri', 'ctr', 'docker', 'shim', 'shim-endurance', 'shim-tsrun'].map(
  (name) => `test/engines/${name}.test.ts`,
);

/**
 * Fetches them and prints their versions: the tests for them, and what these need in their environment. No tests where an engine is not to
 * be had any more, with the reason printed.
 * @returns {{ tests: readonly string[], environment: Readonly<Record<string, string>> }}
 */
export function fetchNewerEngines() {
  const found = fetchPrograms();
  if ('reason' in found) {
    console.log(`tests with newer engines skipped: ${found.reason}`);
    return { tests: [], environment: {} };
  }
  console.log(`newer engines: ${found.versions.join(', ')}`);
  return { tests: TESTS, environment: { TSRUN_TEST_NEWER: found.directory } };
}

/**
 * A directory with links to the programs, and each package with its version; or why there is none.
 * @returns {{ directory: string, versions: readonly string[] } | { reason: string }}
 */
function fetchPrograms() {
  const mirror = findMirror();
  if (mirror === undefined) return { reason: 'the machine has no mirror of Debian in its configuration of apt' };
  const work = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'tsrun-engines');
  for (const name of ['lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(path.join(work, name), { recursive: true });
  fs.writeFileSync(path.join(work, 'status'), '');
  fs.writeFileSync(path.join(work, 'sources.list'), `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main\n`);
  const apt = (/** @type {string} */ tool, /** @type {readonly string[]} */ ...args) =>
    execFileSync(tool, [...options(work), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    apt('apt-get', '-qq', 'update');
  } catch {
    return { reason: `the lists of ${SUITE} are not to be had` };
  }
  const versions = Object.entries(PACKAGES).map(([name, wanted]) => {
    const [, version = 'none'] = /^ *Candidate: *(\S+)/m.exec(apt('apt-cache', 'policy', name)) ?? [];
    return { name, version, isWanted: wanted.test(version) };
  });
  const gone = versions.filter(({ isWanted }) => !isWanted).map(({ name, version }) => `${name} (found: ${version})`);
  if (gone.length > 0) return { reason: `${SUITE} has no newer ${gone.join(', ')}` };
  const said = versions.map(({ name, version }) => `${name} ${version}`);
  unpack(work, said.join('\n'), (...args) => apt('apt-get', ...args));
  return { directory: path.join(work, 'programs'), versions: said };
}

/** The address that the machine has its own packages from. */
function findMirror() {
  for (const file of SOURCES) {
    const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    const [, address] = /^(?:URIs: *|deb(?: +\[.*\])? +)(\S+)/m.exec(text) ?? [];
    if (address !== undefined) return address;
  }
  return undefined;
}

/** @param {string} work */
function options(work) {
  return [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::Lists=${work}/lists`,
    // Nothing is installed there, so that all that is needed is fetched.
    `Dir::State::status=${work}/status`,
    `Dir::Cache=${work}/cache`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
}

/**
 * Makes the directory of programs, unless it is there in these versions.
 * @param {string} work
 * @param {string} versions
 * @param {(...args: readonly string[]) => string} aptGet
 */
function unpack(work, versions, aptGet) {
  const [stamp, root, programs] = ['stamp', 'root', 'programs'].map((name) => path.join(work, name));
  if (stamp === undefined || root === undefined || programs === undefined) return;
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === versions) return;
  const archives = path.join(work, 'cache/archives');
  for (const directory of [root, programs, archives]) fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(path.join(archives, 'partial'), { recursive: true });
  aptGet('install', '--download-only', '--yes', '-qq', '--no-install-recommends', ...Object.keys(PACKAGES));
  for (const name of fs.readdirSync(archives).filter((name) => name.endsWith('.deb')))
    execFileSync('dpkg', ['-x', path.join(archives, name), root]);
  fs.mkdirSync(programs);
  for (const program of PROGRAMS) {
    const file = path.join(root, 'usr', program);
    const link = path.join(programs, path.basename(program));
    if (fs.existsSync(file) && !fs.existsSync(link)) fs.symlinkSync(file, link);
  }
  fs.writeFileSync(stamp, versions);
}
