import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { placeInRootfs, readDanglingLink } from '../../src/host/links-in-rootfs.ts';

/** A rootfs with directories (names ending in `/`), files, and symlinks given by their targets. */
function makeRootfs(t: Test, files: readonly string[], links: Readonly<Record<string, string>> = {}): string {
  // Beside the rootfs lies what no path inside may lead to.
  const top = t.testdir({ host: { file: '' }, rootfs: {} });
  const rootfs = path.join(top, 'rootfs');
  for (const file of files) {
    if (file.endsWith('/')) mkdirSync(path.join(rootfs, file), { recursive: true });
    else writeFileSync(path.join(rootfs, file), '');
  }
  for (const [name, target] of Object.entries(links)) symlinkSync(target, path.join(rootfs, name));
  return rootfs;
}

t.test('readDanglingLink() is undefined without a link that dangles', (t) => {
  const rootfs = makeRootfs(t, ['etc/', 'etc/hosts'], { there: '/etc', file: 'etc/hosts', 'etc/up': '../etc' });
  for (const name of ['/', '', '/etc', '/etc/hosts', '/there', '/there/hosts', '/file', '/etc/up/up/hosts'])
    t.equal(readDanglingLink(rootfs, name), undefined, name);
  // Nothing is there, but no link either: it is made where the path says.
  for (const name of ['/gone', '/gone/x', '/etc/gone', '/etc/hosts/x', 'gone'])
    t.equal(readDanglingLink(rootfs, name), undefined, name);
  t.end();
});

t.test('readDanglingLink() says where absolute and relative links lead', (t) => {
  const rootfs = makeRootfs(t, ['var/', 'run/', 'etc/'], {
    'var/lock': '/run/lock',
    'var/run': '../run',
    'etc/resolv.conf': '../run/systemd/resolve/stub-resolv.conf',
    'etc/mtab': './mounts',
  });
  t.equal(readDanglingLink(rootfs, '/var/lock'), '/run/lock');
  t.equal(readDanglingLink(rootfs, 'var//./lock/'), '/run/lock');
  t.equal(readDanglingLink(rootfs, '/var/lock/sub/file'), '/run/lock/sub/file');
  t.equal(readDanglingLink(rootfs, '/var/run/docker'), '/run/docker', 'missing behind a link that is there');
  t.equal(readDanglingLink(rootfs, '/etc/resolv.conf'), '/run/systemd/resolve/stub-resolv.conf');
  t.equal(readDanglingLink(rootfs, '/etc/mtab'), '/etc/mounts');
  t.end();
});

t.test('readDanglingLink() goes through chains of links', (t) => {
  const rootfs = makeRootfs(t, ['a/', 'real/'], {
    first: '/a/second',
    'a/second': 'third',
    'a/third': '../directory/gone',
    directory: 'real',
  });
  t.equal(readDanglingLink(rootfs, '/first'), '/real/gone', 'the answer has no links');
  t.equal(readDanglingLink(rootfs, '/first/x'), '/real/gone/x');
  t.end();
});

t.test('readDanglingLink() looks into layers from the uppermost on, and not through their links', (t) => {
  const top = t.testdir({ etc: { a: '' }, over: { file: '' } });
  const middle = `${top}-middle`;
  mkdirSync(path.join(middle, 'var'), { recursive: true });
  t.teardown(() => {
    rmSync(middle, { recursive: true });
  });
  symlinkSync('/run/log', path.join(middle, 'var/log'));
  symlinkSync('/gone', path.join(middle, 'over'));
  const bottom = path.join(middle, 'bottom');
  mkdirSync(bottom);
  t.equal(readDanglingLink(bottom, '/var/log', [top, middle]), '/run/log');
  t.equal(readDanglingLink(bottom, '/over/file', [top, middle]), undefined, 'the upper directory counts');
  t.equal(readDanglingLink(bottom, '/over/none', [top, middle]), undefined);
  t.end();
});

t.test('readDanglingLink() gives up on loops and on more links than the kernel follows', (t) => {
  const chain = (length: number) =>
    Object.fromEntries(Array.from({ length }, (_, index) => [`l${index}`, `l${index + 1}`]));
  const rootfs = makeRootfs(t, [], { self: 'self', ping: '/pong', pong: 'ping/x', ...chain(41) });
  for (const name of ['/self', '/self/x', '/ping', '/pong', '/ping/x'])
    t.equal(readDanglingLink(rootfs, name), undefined, name);
  t.equal(readDanglingLink(rootfs, '/l0'), undefined, '41 links');
  t.equal(readDanglingLink(rootfs, '/l1'), '/l41', '40 links');
  t.end();
});

t.test('readDanglingLink() never leads outside of the rootfs', (t) => {
  const rootfs = makeRootfs(t, ['a/b/'], {
    absolute: '/host/gone',
    relative: '../../../../host/gone',
    'a/b/deep': '../../../host/file',
    up: '..',
    root: '/',
    missing: '/gone/../../../../../host',
  });
  t.equal(readDanglingLink(rootfs, '/absolute'), '/host/gone');
  t.equal(readDanglingLink(rootfs, '/relative'), '/host/gone');
  t.equal(readDanglingLink(rootfs, '/a/b/deep'), '/host/file', 'the file of the host is not seen');
  t.equal(readDanglingLink(rootfs, '/up/up/../host/file'), '/host/file');
  t.equal(readDanglingLink(rootfs, '/root/../../host'), '/host');
  t.equal(readDanglingLink(rootfs, '/up'), undefined);
  t.notMatch(readDanglingLink(rootfs, '/missing') ?? '/', /(^|\/)\.\.(\/|$)/);
  t.end();
});

t.test('readDanglingLink() takes a file in the middle for something that is missing', (t) => {
  // What is wrong with it is said when the mount point is made.
  const rootfs = makeRootfs(t, ['file'], { link: '/file/x', to: 'file' });
  t.equal(readDanglingLink(rootfs, '/file/x'), undefined);
  t.equal(readDanglingLink(rootfs, '/link'), '/file/x');
  t.equal(readDanglingLink(rootfs, '/to/x/y'), '/file/x/y');
  t.end();
});

t.test('placeInRootfs() says where a path leads, by links and what is not there', (t) => {
  const rootfs = makeRootfs(t, ['etc/', 'run/'], {
    there: '/etc',
    up: '../../run',
    loop: 'loop',
    gone: '/none/at/all',
  });
  const rows = {
    '/etc/x': '/etc/x',
    '/there/a//b': '/etc/a/b',
    '/up/./c': '/run/c',
    '/gone/d': '/none/at/all/d',
    '/x/../y': '/y',
  };
  for (const [asked, place] of Object.entries(rows)) t.equal(placeInRootfs(rootfs, asked), place, asked);
  t.equal(placeInRootfs(rootfs, '/loop/e'), '/loop/e', 'one that leads to itself');
  t.end();
});
