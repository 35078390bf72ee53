/**
 * Makes a Debian package of what is built: `npm run build:deb`, for Debian 12 and newer; no Node is needed where it is installed.
 *
 * `node packaging/deb.mjs --arch arm64 --packages DIRECTORY` makes that of another architecture, as packaging/executable.mjs does;
 * `--output DIRECTORY` puts it elsewhere than in dist/. The same sources and the same `SOURCE_DATE_EPOCH` (default: the time of the
 * commit) give the same bytes.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describeBuild, timeOfBuild } from './build-info.mjs';
import { top } from './bundle.mjs';
import { noticeOf } from './notices.mjs';

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    packages: { type: 'string', default: top },
    output: { type: 'string', default: path.join(top, 'dist') },
  },
});

/** Node's name of an architecture -> Debian's. */
const ARCHITECTURES = new Map([
  ['x64', 'amd64'],
  ['arm64', 'arm64'],
]);

/** Where the files lie that belong together; what people run leads there. */
const LIBEXEC = 'usr/libexec/tsrun';
const COMMANDS = ['tsrun', 'containerd-shim-tsrun-v2'];
const DOC = 'usr/share/doc/tsrun';
const UNITS = 'usr/lib/systemd/system';
/** podman 4.3 reads drop-ins nowhere else. */
const PODMAN = 'etc/containers/containers.conf.d/tsrun.conf';

/** Shell -> where it looks for what other packages complete. */
const COMPLETIONS = {
  bash: 'usr/share/bash-completion/completions/tsrun',
  zsh: 'usr/share/zsh/vendor-completions/_tsrun',
  fish: 'usr/share/fish/vendor_completions.d/tsrun.fish',
};

const HOLDER = `${process.env['DEBFULLNAME'] ?? 'tsrun maintainers'} <${process.env['DEBEMAIL'] ?? 'root@localhost'}>`;

function main() {
  const architecture = ARCHITECTURES.get(options.arch);
  if (architecture === undefined) throw new Error(`no package for ${options.arch}`);
  const { version } = describeBuild();
  const epoch = timeOfBuild();
  const tree = fs.mkdtempSync(path.join(os.tmpdir(), 'tsrun-deb-'));
  try {
    putPrograms(tree);
    putForShells(tree);
    putForServices(tree);
    putDocuments(tree, { version, epoch });
    putControl(tree, { version, architecture });
    settle(tree, epoch);
    const file = path.join(path.resolve(options.output), `tsrun_${version}_${architecture}.deb`);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    run('dpkg-deb', ['--root-owner-group', '-Zxz', '-z2', '--build', tree, file], { SOURCE_DATE_EPOCH: `${epoch}` });
    console.log(file);
  } finally {
    fs.rmSync(tree, { recursive: true });
  }
}

/** @param {string} tree */
function putPrograms(tree) {
  const { arch, packages } = options;
  const args = ['--arch', arch, '--packages', packages, '--output', path.join(tree, LIBEXEC)];
  run(process.execPath, [path.join(top, 'packaging/executable.mjs'), ...args], { TSRUN_LIBEXEC: `/${LIBEXEC}` });
  fs.mkdirSync(path.join(tree, 'usr/bin'), { recursive: true });
  for (const name of COMMANDS) fs.symlinkSync(`../libexec/tsrun/${name}`, path.join(tree, 'usr/bin', name));
}

/** @param {string} tree */
function putForShells(tree) {
  const manual = path.join(top, 'dist/man');
  for (const page of fs.readdirSync(manual))
    put(tree, `usr/share/man/man1/${page}.gz`, gzipSync(fs.readFileSync(path.join(manual, page)), { level: 9 }));
  for (const [shell, file] of Object.entries(COMPLETIONS)) {
    const command = path.join(top, 'dist/bin/main.js');
    put(tree, file, execFileSync(process.execPath, [command, 'completion', shell]));
  }
}

/** @param {string} tree */
function putForServices(tree) {
  for (const name of ['tsrun-planner.socket', 'tsrun-planner.service']) {
    const text = fs.readFileSync(path.join(top, 'packaging/systemd', name), 'utf8');
    put(tree, path.join(UNITS, name), text.replaceAll('/usr/local/bin/', '/usr/bin/'));
  }
  put(tree, PODMAN, '# podman --runtime tsrun run ...\n[engine.runtimes]\ntsrun = ["/usr/bin/tsrun"]\n');
}

/**
 * @param {string} tree
 * @param {{ version: string, epoch: number }} build
 */
function putDocuments(tree, { version, epoch }) {
  put(tree, `${DOC}/README.md`, read('README.md'));
  for (const name of fs.readdirSync(path.join(top, 'docs')).filter((file) => file.endsWith('.md')))
    put(tree, `${DOC}/docs/${name}`, read(`docs/${name}`));
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const entry = `tsrun (${version}) unstable; urgency=medium\n\n  * Made of the sources.\n\n -- ${HOLDER}  ${date}\n`;
  put(tree, `${DOC}/changelog.gz`, gzipSync(entry, { level: 9 }));
  put(tree, `${DOC}/copyright`, copyright());
  put(tree, 'usr/share/lintian/overrides/tsrun', read('packaging/lintian-overrides'));
}

function copyright() {
  const bundled = read('dist/bin/NOTICES');
  const koffi = noticeOf(path.join(top, 'node_modules/koffi'));
  return `tsrun is licensed under the Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0.

In /${LIBEXEC}: koffi.node is koffi, and tsrun-cold holds the engine of Bun (MIT license; its web engine, JavaScriptCore, has
parts under the LGPL: /usr/share/common-licenses/LGPL-2) and the packages below.

${koffi}
${bundled}`;
}

/**
 * @param {string} tree
 * @param {{ version: string, architecture: string }} build
 */
function putControl(tree, { version, architecture }) {
  const bytes = Number(run('du', ['--summarize', '--block-size=1024', '--apparent-size', tree]).split('\t')[0]);
  put(
    tree,
    'DEBIAN/control',
    `Package: tsrun
Version: ${version}
Architecture: ${architecture}
Maintainer: ${HOLDER}
Installed-Size: ${bytes}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 8)
Suggests: criu, libseccomp2, libsystemd0, nodejs, uidmap
Section: admin
Priority: optional
Description: OCI container runtime in TypeScript
 tsrun runs OCI containers: it is a command like runc, and a shim for
 containerd. It turns config.json and what it sees of the host into a list of
 system calls, which a tiny init process executes inside the new container.
 .
 podman finds it as the runtime "tsrun", containerd and docker as the runtime
 type "io.containerd.tsrun.v2".
`,
  );
  put(tree, 'DEBIAN/conffiles', `/${PODMAN}\n`);
  const scripts = path.join(top, 'packaging/debian');
  for (const name of fs.readdirSync(scripts))
    put(tree, `DEBIAN/${name}`, fs.readFileSync(path.join(scripts, name)), 0o755);
}

/**
 * @param {string} tree
 * @param {string} file
 * @param {string | Uint8Array} content
 * @param {number} mode
 */
function put(tree, file, content, mode = 0o644) {
  const target = path.join(tree, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, content);
  fs.chmodSync(target, mode);
}

/**
 * Modes that no umask has a part in, and one time.
 * @param {string} tree
 * @param {number} epoch
 */
function settle(tree, epoch) {
  for (const entry of fs.readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isDirectory()) fs.chmodSync(file, 0o755);
    if (entry.isFile()) fs.chmodSync(file, (fs.statSync(file).mode & 0o100) === 0 ? 0o644 : 0o755);
    fs.lutimesSync(file, epoch, epoch);
  }
  fs.chmodSync(tree, 0o755);
  fs.utimesSync(tree, epoch, epoch);
}

/** @param {string} file */
function read(file) {
  return fs.readFileSync(path.join(top, file), 'utf8');
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} environment
 */
function run(file, args, environment = {}) {
  return execFileSync(file, args, { encoding: 'utf8', env: { ...process.env, ...environment } });
}

main();
