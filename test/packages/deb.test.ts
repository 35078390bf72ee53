import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { top } from '../../bundles/ready.mjs';
import { busyboxBundle } from './busybox.ts';
import { debianTree, inTree } from './debian-tree.ts';

const work = mkdtempSync(path.join(os.tmpdir(), 'tsrun-deb-test-'));
t.teardown(() => {
  rmSync(work, { recursive: true });
});

const isRoot = process.getuid?.() === 0;
/** The year 2020. */
const EPOCH = 1_577_836_800;

/** Makes the package in a directory of its own. */
function makePackage(name: string, umask: string): string {
  const output = path.join(work, name);
  const line = `umask ${umask} && exec "$0" packaging/deb.mjs --output "$1"`;
  const stdout = execFileSync('sh', ['-c', line, process.execPath, output], {
    cwd: top,
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: `${EPOCH}` },
  });
  return stdout.trim();
}

const deb = makePackage('first', '022');

t.test('the package has what it should, owned by root, from the time that was asked for', (t) => {
  const lines = execFileSync('dpkg-deb', ['--contents', deb], { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } })
    .trim()
    .split('\n');
  for (const line of lines) t.match(line, /^(d|l|-)\S+ root\/root +\d+ 2020-01-01 00:00 /);
  const files = lines.map((line) => line.split(' ').slice(-1)[0] ?? '');
  for (const file of [
    './usr/libexec/tsrun/tsrun-cold',
    './usr/libexec/tsrun/koffi.node',
    './usr/lib/systemd/system/tsrun-planner.socket',
    './usr/share/bash-completion/completions/tsrun',
    './usr/share/zsh/vendor-completions/_tsrun',
    './usr/share/fish/vendor_completions.d/tsrun.fish',
    './usr/share/doc/tsrun/copyright',
    './usr/share/doc/tsrun/README.md',
    './usr/share/man/man1/tsrun.1.gz',
    './usr/share/man/man1/tsrun-run.1.gz',
  ])
    t.ok(files.includes(file), file);
  t.notMatch(lines.join('\n'), /\.wants\//, 'no unit is enabled');
  t.end();
});

t.test('the same sources and the same time give the same bytes, whatever the umask', (t) => {
  const second = makePackage('second', '077');
  t.ok(readFileSync(deb).equals(readFileSync(second)));
  rmSync(second);
  t.end();
});

t.test('lintian has nothing to say', { skip: lintianReason() }, (t) => {
  // Who packages it says so in DEBEMAIL.
  const suppressed = 'bogus-mail-host,bogus-mail-host-in-debian-changelog,root-in-contact';
  const args = ['--allow-root', '--fail-on', 'error,warning', '--suppress-tags', suppressed, deb];
  const { status, stdout } = spawnSync('lintian', args, { encoding: 'utf8' });
  t.strictSame({ status, stdout }, { status: 0, stdout: '' });
  t.end();
});

function lintianReason(): string | false {
  return spawnSync('lintian', ['--version']).status === 0 ? false : 'lintian is not installed';
}

t.test('podman finds it by its name', { skip: podmanReason() }, (t) => {
  const installed = path.join(work, 'installed');
  execFileSync('dpkg-deb', ['--extract', deb, installed]);
  // What the machine has stays below.
  const script = `
    set -e
    for directory in usr/bin usr/libexec etc/containers; do
      mkdir -p /$directory
      mount -t overlay -o "lowerdir=$0/$directory:/$directory" none /$directory
    done
    exec podman --runtime tsrun info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}'`;
  const { stdout, stderr } = spawnSync('timeout', ['60', 'unshare', '--mount', 'sh', '-c', script, installed], {
    encoding: 'utf8',
  });
  t.match(stdout, /^tsrun \/usr\/bin\/tsrun tsrun version \d/, stderr);
  t.end();
});

function podmanReason(): string | false {
  if (!isRoot) return 'mounts need root';
  return spawnSync('podman', ['--version']).status === 0 ? false : 'podman is not installed';
}

for (const suite of ['bookworm', 'trixie']) {
  void t.test(`in a minimal Debian ${suite}`, { skip: isRoot ? false : 'chroot needs root' }, async (t) => {
    const found = debianTree(suite);
    if ('reason' in found) {
      await t.test('it installs', { skip: found.reason }, () => undefined);
      return;
    }
    const tree = path.join(work, suite);
    mkdirSync(tree);
    execFileSync('tar', ['-xf', found.archive, '-C', tree]);
    // What the package manager keeps for itself, and what is of this machine.
    const list = `find / -xdev \\( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log -o -path /var/cache \\) -prune -o -print | sort`;
    const files = (): string => inTree(tree, list).stdout;
    copyFileSync(deb, path.join(tree, 'root/tsrun.deb'));
    busyboxBundle(path.join(tree, 'root/bundle'), ['/bin/echo', 'inside']);
    const before = files();

    await t.test('it installs with what is there', (t) => {
      const installed = inTree(tree, 'apt-get install --yes /root/tsrun.deb');
      t.equal(installed.code, 0, installed.stderr);
      t.match(inTree(tree, 'dpkg --status tsrun').stdout, /^Status: install ok installed$/m);
      t.end();
    });

    await t.test('the command and the shim run', (t) => {
      t.match(inTree(tree, 'tsrun --version'), { code: 0, stdout: /^tsrun version \d.*\n/, stderr: '' });
      const features = inTree(tree, 'tsrun features');
      t.match(JSON.parse(features.stdout), { ociVersionMin: '1.0.0' });
      const shim = inTree(tree, 'containerd-shim-tsrun-v2 -v');
      t.match(shim, { code: 0, stdout: /tsrun/ }, shim.stderr);
      t.end();
    });

    await t.test('a container runs', (t) => {
      const { code, stdout, stderr } = inTree(tree, `tsrun run --bundle /root/bundle tsrun-test-deb-${process.pid}`);
      t.strictSame({ code, stdout, stderr }, { code: 0, stdout: 'inside\n', stderr: '' });
      t.end();
    });

    await t.test('it goes, and nothing of it is left', (t) => {
      const purged = inTree(tree, 'apt-get purge --yes tsrun');
      t.equal(purged.code, 0, purged.stderr);
      t.strictSame(files().split('\n'), before.split('\n'));
      t.notOk(inTree(tree, 'dpkg --status tsrun').code === 0, 'dpkg does not know it');
      t.end();
    });
  });
}
