import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { digestOf, tar, writeLayout } from './support/image.ts';
import { expectSuccess, live } from './support/rig.ts';
import { makeRootfs } from './support/rootfs.ts';
import { unpack } from './support/unpack.ts';

/** Why a tool cannot make or compare an image. */
function lacks(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => !fs.existsSync(`/usr/bin/${tool}`));
  return missing.length > 0 && `not installed: ${missing.join(', ')}`;
}

/** What of a tree is compared: path -> type, mode, owner, time, device, link, attributes, content, and the names of the same file. */
function readTree(root: string): Record<string, unknown> {
  const script = `
import hashlib, json, os, stat, sys
root = sys.argv[1]
tree, names = {}, {}
def look(path):
    found = os.lstat(path)
    key = os.path.relpath(path, root)
    if not stat.S_ISDIR(found.st_mode): names.setdefault(found.st_ino, []).append(key)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(os.listxattr(path, follow_symlinks=False))}
    link = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    content = hashlib.sha256(open(path, 'rb').read()).hexdigest() if stat.S_ISREG(found.st_mode) else None
    tree[key] = [oct(found.st_mode), found.st_uid, found.st_gid, str(found.st_mtime_ns), found.st_rdev, found.st_ino, attributes, link, content]
look(root)
for directory, directories, files in os.walk(root):
    for name in directories + files: look(os.path.join(directory, name))
for entry in tree.values(): entry[5] = sorted(names.get(entry[5], []))
print(json.dumps(tree))`;
  const output = execFileSync('python3', ['-c', script, root], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return JSON.parse(output) as Record<string, unknown>;
}

/** A root file system with one of everything. */
function fillSource(directory: string): void {
  makeRootfs(directory);
  const at = (name: string): string => path.join(directory, name);
  fs.linkSync(at('etc/passwd'), at('etc/passwd-again'));
  fs.writeFileSync(at('etc/shadow'), 'secret', { mode: 0o640 });
  fs.chownSync(at('etc/shadow'), 0, 42);
  fs.chmodSync(at('tmp'), 0o1777);
  fs.mkdirSync(at('home/worker'), { recursive: true });
  fs.chownSync(at('home/worker'), 1000, 1000);
  fs.writeFileSync(at('home/worker/n\u00e4me'), 'x');
  fs.mkdirSync(at(`deep/${'d'.repeat(90)}/${'e'.repeat(90)}`), { recursive: true });
  fs.writeFileSync(at(`deep/${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}`), 'long');
  fs.symlinkSync('../etc', at('home/link'));
  fs.writeFileSync(at('root/setuid'), 'x');
  fs.chmodSync(at('root/setuid'), 0o4755);
  execFileSync('mknod', [at('dev/null'), 'c', '1', '3']);
  execFileSync('mkfifo', [at('dev/fifo')]);
  const capability = '0100000200200000000000000000000000000000';
  execFileSync('python3', [
    '-c',
    `import os, sys
os.setxattr(sys.argv[1], 'security.capability', bytes.fromhex('${capability}'))
os.setxattr(sys.argv[2], 'user.note', b'\\xff\\x00\\n')`,
    at('bin/busybox'),
    at('etc/group'),
  ]);
  for (const name of ['etc/passwd', 'home/worker', 'etc', 'root/setuid']) fs.utimesSync(at(name), 1e9, 1.1e9);
}

live('unpack makes the tree that umoci makes', async (t, rig) => {
  const source = rig.fresh('source');
  fillSource(source);
  const archive = rig.fresh('source.tar');
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-C', source, '-cf', archive, '.']);
  const storage = ['--root', rig.path('storage'), '--runroot', rig.path('run'), '--storage-driver', 'vfs'];
  const call = (tool: string, ...args: string[]): string =>
    execFileSync(`/usr/bin/${tool}`, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  const byUmoci = (layout: string): Record<string, unknown> => {
    const bundle = rig.fresh('umoci');
    call('umoci', 'unpack', '--image', layout, bundle);
    return readTree(path.join(bundle, 'rootfs'));
  };
  const compare = async (t: Test, image: string, wanted: Record<string, unknown>): Promise<void> => {
    t.strictSame(readTree(path.join(await unpack(t, rig, image), 'rootfs')), wanted, image);
  };

  await t.test('of an image that umoci made, in several layers', { skip: lacks('umoci', 'python3') }, async (t) => {
    const layout = rig.fresh('layout');
    const image = `${layout}:latest`;
    call('umoci', 'init', '--layout', layout);
    call('umoci', 'new', '--image', image);
    call('umoci', 'insert', '--image', image, source, '/');
    call('umoci', 'insert', '--image', image, '--whiteout', '/etc/shadow');
    call('umoci', 'insert', '--image', image, '--opaque', path.join(source, 'home'), '/deep');
    call('umoci', 'insert', '--image', image, path.join(source, 'etc/group'), '/etc/group');
    await compare(t, image, byUmoci(image));
  });

  await t.test(
    'of images of buildah, and what skopeo makes of them',
    { skip: lacks('umoci', 'buildah', 'skopeo', 'python3') },
    async (t) => {
      const layout = rig.fresh('layout');
      const container = call('buildah', ...storage, 'from', 'scratch');
      call('buildah', ...storage, 'add', container, archive, '/');
      call('buildah', ...storage, 'commit', container, `oci:${layout}:latest`);
      const saved = rig.fresh('oci.tar');
      call('buildah', ...storage, 'commit', container, `oci-archive:${saved}:latest`);
      call('buildah', ...storage, 'rm', container);
      const wanted = byUmoci(`${layout}:latest`);
      await compare(t, `${layout}:latest`, wanted);
      // Each commit has the root directory with a time of its own.
      const again = rig.fresh('layout');
      call('skopeo', 'copy', `oci-archive:${saved}:latest`, `oci:${again}:latest`);
      await compare(t, saved, byUmoci(`${again}:latest`));
      const docker = rig.fresh('docker.tar');
      call('skopeo', 'copy', `oci:${layout}:latest`, `docker-archive:${docker}:some/name:1`);
      await compare(t, `${docker}:some/name:1`, wanted);
      const zstd = rig.fresh('zstd');
      call('skopeo', 'copy', '--dest-compress-format', 'zstd', `oci:${layout}:latest`, `oci:${zstd}:1`);
      await compare(t, zstd, wanted);
    },
  );

  await t.test('of what podman saves', { skip: lacks('umoci', 'podman', 'skopeo', 'python3') }, async (t) => {
    call('podman', ...storage, 'import', archive, 'some/name:1');
    const layout = rig.fresh('layout');
    const saved = rig.fresh('docker.tar');
    call('podman', ...storage, 'save', '--format', 'oci-dir', '-o', layout, 'some/name:1');
    call('podman', ...storage, 'save', '--format', 'docker-archive', '-o', saved, 'some/name:1');
    const copy = rig.fresh('layout');
    call('skopeo', 'copy', `oci:${layout}`, `oci:${copy}:latest`);
    const wanted = byUmoci(`${copy}:latest`);
    await compare(t, layout, wanted);
    await compare(t, saved, wanted);
  });
  fs.rmSync(rig.path('storage'), { recursive: true, force: true });
});

live('unpack', async (t, rig) => {
  const base = tar([
    { name: 'a/' },
    { name: 'a/old', data: 'old' },
    { name: 'a/both', data: 'old' },
    { name: 'gone', data: 'x' },
    { name: 'b/' },
    { name: 'b/old', data: 'x' },
  ]);
  // The whiteouts stand behind what the same layer has.
  const upper = tar([
    { name: 'a/' },
    { name: 'a/new', data: 'new' },
    { name: 'a/both', data: 'new' },
    { name: 'a/.wh..wh..opq' },
    { name: '.wh.gone' },
    { name: 'b/.wh.old' },
    { name: 'b/old', data: 'again' },
    { name: 'b/.wh.never' },
  ]);
  const layout = writeLayout(rig.fresh('layout'), [{ archive: base }, { archive: upper }]);

  await t.test('a whiteout hides what lower layers have, wherever it stands', async (t) => {
    const rootfs = path.join(await unpack(t, rig, layout), 'rootfs');
    t.strictSame(fs.readdirSync(rootfs).sort(), ['a', 'b']);
    t.strictSame(fs.readdirSync(path.join(rootfs, 'a')).sort(), ['both', 'new']);
    t.equal(fs.readFileSync(path.join(rootfs, 'a/both'), 'utf8'), 'new');
    t.equal(fs.readFileSync(path.join(rootfs, 'b/old'), 'utf8'), 'again');
  });

  await t.test('layers of their own show the same through overlayfs', async (t) => {
    const bundle = rig.fresh('bundle');
    const { stdout, ...result } = await rig.tsrun(['unpack', layout, bundle]);
    expectSuccess(t, { ...result, stdout });
    t.equal(stdout, `--lower ${bundle}/layers/1\n--lower ${bundle}/layers/0\n`);
    const { rdev } = fs.lstatSync(path.join(bundle, 'layers/1/gone'));
    t.equal(rdev, 0, 'a whiteout is the device 0:0');
    const lower = stdout.trim().replaceAll('--lower ', '').split('\n').join(':');
    const script = `mount -t overlay -o lowerdir=${lower} overlay ${bundle}/rootfs && cd ${bundle}/rootfs && find . | sort && cat a/both b/old`;
    const seen = execFileSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script], {
      encoding: 'utf8',
    });
    t.equal(seen, './a\n./a/both\n./a/new\n./b\n./b/old\nnewagain'.replace(/^/, '.\n'));
  });

  await t.test('sparse files of all formats have their holes', async (t) => {
    const map = Buffer.alloc(512);
    map.write('2\n0\n3\n1000000\n3\n');
    const archive = tar([
      {
        name: 'x',
        data: 'abcdef',
        pax: { 'GNU.sparse.name': 'old-pax', 'GNU.sparse.size': '2000000', 'GNU.sparse.map': '0,3,1000000,3' },
      },
      {
        name: 'x',
        data: Buffer.concat([map, Buffer.from('abcdef')]),
        pax: {
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': 'pax',
          'GNU.sparse.realsize': '2000000',
        },
      },
    ]);
    const source = rig.fresh('sparse');
    fs.mkdirSync(source);
    fs.writeFileSync(path.join(source, 'gnu'), 'abc');
    fs.truncateSync(path.join(source, 'gnu'), 1_000_000);
    fs.appendFileSync(path.join(source, 'gnu'), 'def');
    fs.truncateSync(path.join(source, 'gnu'), 2_000_000);
    const gnu = execFileSync('tar', ['--format=gnu', '-C', source, '-Scf', '-', 'gnu'], { maxBuffer: 2 ** 24 });
    const posix = execFileSync(
      'tar',
      ['--format=posix', '-C', source, '-Scf', '-', '--transform=s/gnu/posix/', 'gnu'],
      { maxBuffer: 2 ** 24 },
    );
    const image = writeLayout(rig.fresh('layout'), [{ archive }, { archive: gnu }, { archive: posix }]);
    const rootfs = path.join(await unpack(t, rig, image), 'rootfs');
    const wanted = createHash('sha256')
      .update(fs.readFileSync(path.join(source, 'gnu')))
      .digest('hex');
    for (const name of ['old-pax', 'pax', 'gnu', 'posix']) {
      const file = path.join(rootfs, name);
      t.equal(createHash('sha256').update(fs.readFileSync(file)).digest('hex'), wanted, name);
      t.ok(fs.statSync(file).blocks * 512 < 200_000, `${name} has holes`);
    }
  });

  await t.test('one of several images by its tag and its platform', async (t) => {
    const several = rig.fresh('layout');
    const own = tar([{ name: 'own', data: '' }]);
    writeLayout(several, [{ archive: own }], {
      change: ({ config, index }) => {
        if (config !== undefined) config['architecture'] = 'riscv64';
        const [first] = index?.manifests ?? [];
        if (first === undefined) return;
        first['platform'] = { os: 'linux', architecture: 'riscv64' };
        index?.manifests.push({ ...first, digest: digestOf(own), platform: { os: 'linux', architecture: 's390x' } });
        index?.manifests.push({
          ...first,
          digest: digestOf(own),
          annotations: { 'org.opencontainers.image.ref.name': 'other' },
        });
      },
    });
    const fails = async (args: readonly string[], message: RegExp): Promise<void> => {
      const { code, stderr } = await rig.tsrun(['unpack', ...args, rig.fresh('bundle')]);
      t.equal(code, 1);
      t.match(stderr.replaceAll('\\"', '"'), message);
    };
    await fails([several], /several images, wanted LAYOUT:TAG with one of "latest", "other"/);
    await fails([`${several}:third`], /no tag "third", it has "latest", "other"/);
    await fails([`${several}:latest`], /no image for linux\/\w+, only for "linux\/riscv64", "linux\/s390x"/);
    await unpack(t, rig, `${several}:latest`, ['--platform', 'linux/riscv64', '--flat']);
    await fails(['--platform', 'linux', `${several}:latest`], /wanted OS\/ARCH/);
    await fails(['--platform', 'linux/s390x', layout], /it is for linux\/\w+, wanted linux\/s390x/);
    await fails([rig.path('nowhere')], /open the image .*nowhere/);
  });

  await t.test("an archive of docker's, in which layers are links", async (t) => {
    const config = Buffer.from(
      JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { diff_ids: [digestOf(base), digestOf(base)] } }),
    );
    const name = `${digestOf(config).slice('sha256:'.length)}.json`;
    const docker = rig.fresh('docker.tar');
    const write = (bytes: Buffer): void => {
      fs.writeFileSync(
        docker,
        tar([
          { name: 'one/' },
          { name: 'one/layer.tar', data: bytes },
          { name: 'two/layer.tar', link: '../one/layer.tar' },
          { name, data: config },
          {
            name: 'manifest.json',
            data: JSON.stringify([{ Config: name, RepoTags: ['web:1'], Layers: ['one/layer.tar', 'two/layer.tar'] }]),
          },
        ]),
      );
    };
    write(base);
    const rootfs = path.join(await unpack(t, rig, `${docker}:1`), 'rootfs');
    t.strictSame(fs.readdirSync(rootfs).sort(), ['a', 'b', 'gone']);
    write(upper);
    const { code, stderr } = await rig.tsrun(['unpack', docker, rig.fresh('bundle')]);
    t.equal(code, 1);
    t.match(stderr, /the archive of a layer has the digest/);
  });

  await t.test('a terminal sees how far it is, and a pipe nothing', async (t) => {
    const bundle = rig.fresh('bundle');
    const typed = path.join(rig.directory, 'typescript');
    const words = rig.tsrunArgv(['unpack', '--flat', layout, bundle]).map((word) => `'${word}'`);
    execFileSync('script', ['-qec', words.join(' '), typed], { stdio: 'ignore' });
    t.match(fs.readFileSync(typed, 'utf8'), /layer 1 of 2: 0\.0 of 0\.0 MB/);
    const quiet = await rig.tsrun(['unpack', '--flat', layout, rig.fresh('bundle')]);
    t.same([quiet.stdout, quiet.stderr], ['', '']);
  });
});
