import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  digestOf,
  paxRecord,
  tar,
  tarEntry,
  writeLayout,
  type Documents,
  type WrittenEntry,
  type WrittenLayer,
} from './support/image.ts';
import { live } from './support/rig.ts';

const OUT = '../'.repeat(12);

/** Name -> entries of one layer, and the refusal. */
const ARCHIVES: Readonly<Record<string, readonly [entries: readonly WrittenEntry[], refusal: RegExp]>> = {
  'a name with .. at its start': [[{ name: '../escape', data: 'x' }], /has "\.\." in it/],
  'a name with .. in its middle': [[{ name: 'a/../../escape', data: 'x' }], /has "\.\." in it/],
  'a PAX name with ..': [[{ name: 'a', data: 'x', pax: { path: '../escape' } }], /has "\.\." in it/],
  'an absolute name': [[{ name: '/SENTINEL', data: 'x' }], /is absolute/],
  'a file behind an absolute symlink': [
    [
      { name: 'a', link: '/OUTSIDE' },
      { name: 'a/sentinel', data: 'x' },
    ],
    /symlink that leads out/,
  ],
  'a file behind a relative symlink': [
    [
      { name: 'a', link: `${OUT}OUTSIDE` },
      { name: 'a/sentinel', data: 'x' },
    ],
    /symlink that leads out/,
  ],
  'a file behind a chain of symlinks': [
    [{ name: 'd/' }, { name: 'd/up', link: '..' }, { name: 'b', link: 'd/up/..' }, { name: 'b/sentinel', data: 'x' }],
    /symlink that leads out/,
  ],
  'a directory behind a symlink': [[{ name: 'a', link: '/OUTSIDE' }, { name: 'a/made/' }], /symlink that leads out/],
  'a symlink that leads to itself': [
    [
      { name: 'a', link: 'a' },
      { name: 'a/b', data: 'x' },
    ],
    /symlink that leads out/,
  ],
  'a hard link with ..': [[{ name: 'a', type: '1', link: `${OUT}OUTSIDE/sentinel` }], /has "\.\." in it/],
  'an absolute hard link': [[{ name: 'a', type: '1', link: '/OUTSIDE/sentinel' }], /is absolute/],
  'a hard link through a symlink': [
    [
      { name: 'a', link: '/OUTSIDE' },
      { name: 'b', type: '1', link: 'a/sentinel' },
    ],
    /symlink that leads out/,
  ],
  'a hard link to nothing': [[{ name: 'a', type: '1', link: 'nothing' }], /which is no file of the image/],
  'a hard link to a directory': [
    [{ name: 'd/' }, { name: 'a', type: '1', link: 'd' }],
    /which is no file of the image/,
  ],
  'a hard link to itself': [[{ name: 'a', type: '1', link: 'a' }], /leads to itself/],
  'a whiteout of ..': [[{ name: 'd/.wh...' }], /hides no name/],
  'a root that is a symlink': [
    [
      { name: './', type: '2', link: '/OUTSIDE' },
      { name: 'sentinel', data: 'x' },
    ],
    /root of the image is no directory/,
  ],
  'a device that no device is': [[{ name: 'a', type: '3', device: [0o17777, 1] }], /which no device is/],
  'more devices than images have': [
    Array.from({ length: 1100 }, (_, index) => ({ name: `d${index}`, type: '4', device: [8, 0] as const })),
    /more than 1024 devices/,
  ],
  'a file that is longer than the archive': [
    [{ name: 'a', data: 'x', size: 100_000 }],
    /ends in the middle of an entry/,
  ],
  'a file of more bytes than there are numbers': [
    [{ name: 'a', data: 'x', pax: { size: '99999999999999999999' } }],
    /in the place of a number/,
  ],
  'a file of less than no bytes': [[{ name: 'a', data: 'x', pax: { size: '-1' } }], /in the place of a number/],
  'a header with a wrong checksum': [
    [{ name: 'a', data: 'x', damage: (header) => header.fill('b', 0, 1) }],
    /wrong checksum/,
  ],
  'an entry of an unknown type': [[{ name: 'a', type: 'V' }], /unknown type "V"/],
  'a name with a NUL': [[{ name: 'a', pax: { path: 'a\0b' } }], /NUL in it/],
  'a name that is too long': [[{ name: 'a', pax: { path: 'x'.repeat(300) } }], /a part of more than 255 bytes/],
  'a path that is too long': [[{ name: 'a', pax: { path: 'x/'.repeat(3000) } }], /longer than 4096 bytes/],
  'an extended header that is too long': [
    [{ name: 'pax', type: 'x', data: paxRecord('comment', Buffer.alloc(2 ** 20)) }],
    /extended header of \d+ bytes/,
  ],
  'an extended header that is damaged': [
    [{ name: 'pax', type: 'x', data: '99999 a=b\n' }],
    /extended header that is damaged/,
  ],
  'a sparse file with data beyond its end': [
    [
      {
        name: 'a',
        data: 'x',
        pax: { 'GNU.sparse.size': '10', 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '100,1' },
      },
    ],
    /map that is not its own/,
  ],
  'a sparse file with more data than its map': [
    [{ name: 'a', data: 'xxxx', pax: { 'GNU.sparse.size': '10', 'GNU.sparse.map': '0,1' } }],
    /4 bytes of data, wanted 1/,
  ],
  'a sparse file whose map has no end': [
    [{ name: 'a', data: '9999999999\n', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '10' } }],
    /damaged map/,
  ],
  'an owner that no user is': [[{ name: 'a', pax: { uid: '4294967295' } }], /which no user is/],
  'an attribute that is too large': [
    [{ name: 'a', pax: { 'SCHILY.xattr.user.a': Buffer.alloc(70_000) } }],
    /attribute that is too large/,
  ],
};

/** Name -> what is wrong with the layout, and the refusal. */
const LAYOUTS: Readonly<
  Record<
    string,
    readonly [layers: readonly WrittenLayer[], change: (documents: Partial<Documents>) => void, refusal: RegExp]
  >
> = (() => {
  const archive = tar([{ name: 'a', data: 'x' }]);
  const layer = { archive };
  const nothing = (): void => undefined;
  return {
    'a layer whose digest lies': [
      [layer],
      ({ manifest }) => {
        const [first] = manifest?.layers ?? [];
        if (first !== undefined) first.digest = digestOf(Buffer.from('other'));
      },
      /missing in it/,
    ],
    'a layer whose size lies': [
      [layer],
      ({ manifest }) => {
        const [first] = manifest?.layers ?? [];
        if (first !== undefined) first.size += 1;
      },
      /bytes, wanted/,
    ],
    'a layer whose archive is another': [
      [{ archive, diffId: digestOf(Buffer.from('other')) }],
      nothing,
      /archive of a layer has the digest/,
    ],
    'a digest that is a path': [
      [layer],
      ({ manifest }) => {
        const [first] = manifest?.layers ?? [];
        if (first !== undefined) first.digest = 'sha256:../../../../etc/passwd';
      },
      /has the digest/,
    ],
    'a manifest whose size lies': [
      [layer],
      ({ index }) => {
        const [first] = index?.manifests ?? [];
        if (first !== undefined) first.size += 1;
      },
      /bytes, wanted/,
    ],
    'digests of more layers than there are': [
      [layer],
      ({ config }) => config?.rootfs.diff_ids.push(digestOf(archive)),
      /digests of 2 layers, it has 1/,
    ],
    'a layer that is encrypted': [
      [{ archive, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted' }],
      nothing,
      /media type/,
    ],
    'a layer with half of its gzip': [
      [{ archive, stored: gzipSync(archive).subarray(0, 60) }],
      nothing,
      /is damaged|ends in the middle/,
    ],
    'a layer that is no archive': [
      [{ archive: Buffer.alloc(5000, 'x') }],
      nothing,
      /in the place of a number|wrong checksum/,
    ],
    'an index that leads to itself': [
      [layer],
      ({ index }) => {
        const [first] = index?.manifests ?? [];
        if (first !== undefined) first.mediaType = 'application/vnd.oci.image.index.v1+json';
      },
      /manifests|wanted a list/,
    ],
    'a configuration with numbers for words': [
      [layer],
      ({ config }) => {
        if (config !== undefined) Object.assign(config, { config: { Env: [1] } });
      },
      /Env that is no list of texts/,
    ],
    'a user that is nobody': [
      [layer],
      ({ config }) => {
        if (config !== undefined) Object.assign(config, { config: { User: 'stranger' } });
      },
      /user "stranger", which its \/etc\/passwd lacks/,
    ],
  };
})();

live('unpack refuses hostile images', async (t, rig) => {
  const outside = rig.fresh('outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'sentinel'), 'whole');
  const place = rig.fresh('place');
  mkdirSync(place);
  const refused = async (
    layout: string,
    name: string,
    { refusal, args = [], ways = [['--flat']] }: { refusal: RegExp; args?: string[]; ways?: string[][] },
  ): Promise<void> => {
    const target = path.join(place, 'bundle');
    for (const flags of ways) {
      const { code, stderr } = await rig.tsrun(['unpack', ...flags, ...args, layout, target]);
      t.equal(code, 1, `${name}: exit code`);
      t.match(stderr.replaceAll('\\"', '"'), refusal, name);
      t.equal(stderr.trim().split('\n').length, 1, `${name}: one line`);
      t.strictSame(readdirSync(place), [], `${name}: nothing is left`);
    }
    t.strictSame(readdirSync(outside), ['sentinel'], name);
    t.equal(readFileSync(path.join(outside, 'sentinel'), 'utf8'), 'whole', name);
  };
  const aim = (text: string): string =>
    text
      .replace('/SENTINEL', `${outside}/sentinel`)
      .replace(/\/?OUTSIDE/, (found) => (found.startsWith('/') ? outside : outside.slice(1)));

  for (const [name, [entries, refusal]] of Object.entries(ARCHIVES)) {
    const aimed = entries.map((entry) => ({
      ...entry,
      name: aim(entry.name),
      ...(entry.link !== undefined && { link: aim(entry.link) }),
    }));
    await refused(writeLayout(rig.fresh('layout'), [{ archive: tar(aimed) }]), name, {
      refusal,
      ways: [['--flat'], []],
    });
  }
  for (const [name, [layers, change, refusal]] of Object.entries(LAYOUTS))
    await refused(writeLayout(rig.fresh('layout'), layers, { change }), name, { refusal });

  const changed = writeLayout(rig.fresh('layout'), [{ archive: tar([{ name: 'a', data: 'x' }]) }]);
  const blobs = path.join(changed, 'blobs/sha256');
  const manifest = JSON.parse(readFileSync(path.join(changed, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  const first = path.join(blobs, manifest.manifests[0]?.digest.slice('sha256:'.length) ?? '');
  const original = readFileSync(first);
  writeFileSync(first, Buffer.from(original).fill(0x20, original.length - 1));
  await refused(changed, 'a manifest of another digest', { refusal: /the manifest has the digest/ });
  unlinkSync(first);
  symlinkSync('/etc/passwd', first);
  await refused(changed, 'a blob that is a symlink out of the layout', { refusal: /open "blobs/ });
  unlinkSync(first);
  execFileSync('mkfifo', [first]);
  await refused(changed, 'a blob that is a FIFO', { refusal: /no regular file/ });

  const bomb = writeLayout(rig.fresh('layout'), [
    { archive: tar([{ name: 'zeros', data: Buffer.alloc(64 * 2 ** 20) }]) },
  ]);
  await refused(bomb, 'a gzip bomb', {
    refusal: /more than 16777216 bytes; to allow more: --max-size/,
    args: ['--max-size', '16M'],
  });
  const one = tarEntry({ name: 'x', type: '6' });
  const many = writeLayout(rig.fresh('layout'), [
    { archive: Buffer.concat([...Array.from({ length: 50_000 }, () => one), Buffer.alloc(1024)]) },
  ]);
  await refused(many, 'many entries', {
    refusal: /more than 2000 entries; to allow more: --max-entries/,
    args: ['--max-entries', '2000'],
  });
});

live('unpack of what is strange and harmless', async (t, rig) => {
  await t.test('a device is not written through, and a name goes where a relative symlink leads', async (t) => {
    const archive = tar([
      { name: 'dev', type: '3', device: [1, 3] },
      { name: 'dev', data: 'a file now' },
      { name: 'usr/bin/' },
      { name: 'bin', link: 'usr/bin' },
      { name: 'bin/tool', data: 'x' },
      {
        name: 'trusted',
        data: 'x',
        pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.kept': 'y' },
      },
    ]);
    const bundle = rig.fresh('bundle');
    const { code, stderr } = await rig.tsrun([
      'unpack',
      '--flat',
      writeLayout(rig.fresh('layout'), [{ archive }]),
      bundle,
    ]);
    t.same([code, stderr], [0, '']);
    t.equal(readFileSync(path.join(bundle, 'rootfs/dev'), 'utf8'), 'a file now');
    t.ok(existsSync(path.join(bundle, 'rootfs/usr/bin/tool')));
    const attributes = execFileSync('python3', [
      '-c',
      'import os,sys; print(os.listxattr(sys.argv[1]))',
      path.join(bundle, 'rootfs/trusted'),
    ]);
    t.equal(attributes.toString().trim(), "['user.kept']");
  });

  await t.test('a directory with something in it stays as it is', async (t) => {
    const bundle = rig.fresh('bundle');
    mkdirSync(bundle);
    writeFileSync(path.join(bundle, 'mine'), '');
    const layout = writeLayout(rig.fresh('layout'), [{ archive: tar([{ name: 'a', data: 'x' }]) }]);
    const { code, stderr } = await rig.tsrun(['unpack', layout, bundle]);
    t.equal(code, 1);
    t.match(stderr, /wanted an empty or a new one/);
    t.strictSame(readdirSync(bundle), ['mine']);
  });

  await t.test('a signal removes what was made', async (t) => {
    const place = rig.fresh('place');
    mkdirSync(place);
    const data = Buffer.alloc(48 * 2 ** 20, 'some text that is not all the same ');
    const layers = Array.from({ length: 8 }, (_, index) => ({ archive: tar([{ name: `f${index}`, data }]) }));
    const layout = writeLayout(rig.fresh('layout'), layers);
    const running = rig.startTsrun(['unpack', '--max-size', '4G', layout, path.join(place, 'bundle')]);
    const end = Date.now() + 10_000;
    while (readdirSync(place).length === 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    t.match(readdirSync(place), [/^\.tsrun-unpack-/], 'it is under way');
    process.kill(running.pid, 'SIGTERM');
    t.match(await running.done, { code: 143, stderr: '' });
    t.strictSame(readdirSync(place), []);
  });
});
