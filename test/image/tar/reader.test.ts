import t from 'tap';
import { StreamBytes } from '../../../src/image/tar/bytes.ts';
import type { TarEntry } from '../../../src/image/tar/entry.ts';
import { TarReader } from '../../../src/image/tar/reader.ts';
import { tar, tarEntry } from '../../live/support/image.ts';

/** The bytes in pieces of a size, as a stream might cut them. */
async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(bytes: Buffer, size = 100): Promise<{ entry: TarEntry; data: string }[]> {
  const reader = new TarReader(new StreamBytes(cut(bytes, size)));
  const found: { entry: TarEntry; data: string }[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    let data = '';
    await reader.read((piece, offset) => (data += `${offset}:${piece.toString()};`));
    found.push({ entry, data });
  }
  return found;
}

t.test('TarReader reads entries however the stream is cut', async (t) => {
  const bytes = tar([{ name: 'd/' }, { name: 'd/a', data: 'abc', uid: 7, mode: 0o4755 }, { name: 'l', link: 'd/a' }]);
  for (const size of [1, 511, 512, 513, 100_000]) {
    const found = await readAll(bytes, size);
    t.match(
      found.map(({ entry }) => entry),
      [
        { type: 'directory', name: 'd/' },
        { type: 'file', name: 'd/a', uid: 7, mode: 0o4755, size: 3 },
        { type: 'symlink', name: 'l', linkName: 'd/a' },
      ],
    );
    t.equal(found[1]?.data.replace(/\d+:|;/g, ''), 'abc');
  }
});

t.test('TarReader passes over data that nobody reads, and minds no missing end', async (t) => {
  const bytes = Buffer.concat([tarEntry({ name: 'a', data: 'x'.repeat(1000) }), tarEntry({ name: 'b', data: 'y' })]);
  // Without the padding of the last block and without the two blocks of zeros.
  const reader = new TarReader(new StreamBytes(cut(bytes.subarray(0, -511), 77)));
  t.equal((await reader.next())?.name, 'a');
  t.equal((await reader.next())?.name, 'b');
  t.equal(await reader.next(), undefined);
});

t.test('TarReader takes long names, times and attributes of PAX and GNU headers', async (t) => {
  const long = 'n'.repeat(150);
  const pax = {
    path: `p/${long}`,
    mtime: '1.5',
    atime: '-2.25',
    uid: '3000000',
    size: '2',
    'SCHILY.xattr.user.a': Buffer.of(0xff, 0, 0x0a),
  };
  const [one, two, three] = await readAll(
    tar([
      { name: 'short', data: 'xy', size: 0, pax },
      { name: '././@LongLink', type: 'L', data: `${long}\0` },
      { name: '././@LongLink', type: 'K', data: `${long}/target\0` },
      { name: 'short', type: '2' },
      { name: 'plain', data: 'z' },
    ]),
  );
  t.match(one?.entry, {
    name: `p/${long}`,
    mtimeNs: 1_500_000_000n,
    atimeNs: -2_250_000_000n,
    uid: 3_000_000,
    size: 2,
  });
  t.strictSame(one?.entry.attributes, [['user.a', '\u00ff\0\n']]);
  t.match(two?.entry, { name: long, linkName: `${long}/target` });
  t.match(three?.entry, { name: 'plain', attributes: [] }, 'what was said of one entry is not said of the next');
});

t.test('TarReader holds records of global headers for all entries, until one takes them back', async (t) => {
  const found = await readAll(
    tar([
      { name: 'g', type: 'g', data: '9 uid=42\n' },
      { name: 'a', uid: 1 },
      { name: 'b', uid: 1, pax: { uid: '' } },
    ]),
  );
  t.strictSame(
    found.map(({ entry }) => entry.uid),
    [42, 1],
  );
});

t.test('TarReader puts the pieces of sparse files where they belong', async (t) => {
  const listed = ['21 GNU.sparse.size=20\n', '23 GNU.sparse.offset=5\n', '25 GNU.sparse.numbytes=2\n'];
  const fixed = listed.map((line) => line.replace(/^\d+/, `${line.length}`)).join('');
  const found = await readAll(
    tar([
      { name: 'pax', type: 'x', data: fixed },
      { name: 'a', data: 'xy' },
      { name: 'b', data: 'xyz', pax: { 'GNU.sparse.size': '20', 'GNU.sparse.map': '0,1,10,2' } },
    ]),
    100_000,
  );
  t.match(found, [
    { entry: { size: 20, dataSize: 2 }, data: '5:xy;' },
    { entry: { size: 20, dataSize: 3 }, data: '0:x;10:yz;' },
  ]);
});
