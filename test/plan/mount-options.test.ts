import t from 'tap';
import { mountAttributes, parseMountOptions } from '../../src/plan/mount-options.ts';
import { mountOptions } from '../../src/spec/mount-options.ts';

const attributesOf = (...options: string[]) => mountAttributes(parseMountOptions(options));
const flagsOf = (...options: string[]) => parseMountOptions(options).flags;

t.test('parseMountOptions() sorts options by who acts on them', (t) => {
  const parsed = parseMountOptions([
    'rbind',
    'ro',
    'rslave',
    'shared',
    'rro',
    'idmap',
    'tmpcopyup',
    'size=1m',
    'uid=0',
  ]);
  t.equal(parsed.flags, 0x1000 | 0x4000 | 1);
  t.equal(parsed.cleared, 0);
  t.same(parsed.recursive, { set: 1, clear: 0 });
  t.same(parsed.propagation, [0x80000 | 0x4000, 0x100000]);
  t.same([...parsed.extensions], ['idmap', 'tmpcopyup']);
  t.same(parsed.data, ['size=1m', 'uid=0']);
  t.end();
});

t.test('parseMountOptions() has the later of two options win', (t) => {
  t.equal(flagsOf('ro', 'rw'), 0);
  t.equal(parseMountOptions(['ro', 'rw']).cleared, 1);
  t.equal(flagsOf('rw', 'ro'), 1);
  t.equal(parseMountOptions(['rw', 'ro']).cleared, 0);
  t.same(parseMountOptions(['rro', 'rrw']).recursive, { set: 0, clear: 1 });
  t.same(parseMountOptions(['rrw', 'rro']).recursive, { set: 1, clear: 0 });
  t.end();
});

t.test('parseMountOptions() leaves no option of the specification to the file system', (t) => {
  for (const option of mountOptions.keys()) t.same(parseMountOptions([option]).data, [], option);
  t.same(parseMountOptions([]), {
    ...{ flags: 0, cleared: 0, recursive: { set: 0, clear: 0 } },
    ...{ propagation: [], extensions: new Set(), data: [] },
  });
  t.end();
});

t.test('parseMountOptions() clears the whole access time where a recursive option sets it', (t) => {
  t.same(parseMountOptions(['rnoatime']).recursive, { set: 0x10, clear: 0x70 });
  t.same(parseMountOptions(['rstrictatime']).recursive, { set: 0x20, clear: 0x70 });
  t.same(parseMountOptions(['rrelatime']).recursive, { set: 0, clear: 0x70 });
  t.end();
});

t.test('parseMountOptions() has the later of two recursive access times win', (t) => {
  // Both bits at once are a value that the kernel refuses.
  t.same(parseMountOptions(['rnoatime', 'rstrictatime']).recursive, { set: 0x20, clear: 0x70 });
  t.same(parseMountOptions(['rstrictatime', 'rnoatime']).recursive, { set: 0x10, clear: 0x70 });
  t.same(parseMountOptions(['rnoatime', 'rrelatime']).recursive, { set: 0, clear: 0x70 });
  t.end();
});

t.test('mountAttributes() changes only what the options name', (t) => {
  t.same(attributesOf('bind'), { set: 0, clear: 0 });
  t.same(attributesOf('bind', 'ro', 'nosuid', 'nodev', 'noexec'), { set: 0xf, clear: 0 });
  t.same(attributesOf('bind', 'rw', 'suid', 'dev', 'exec'), { set: 0, clear: 0xf });
  t.same(attributesOf('nodiratime', 'nosymfollow'), { set: 0x200080, clear: 0 });
  t.same(attributesOf('diratime', 'symfollow'), { set: 0, clear: 0x200080 });
  t.same(attributesOf('sync', 'dirsync', 'mand', 'silent'), { set: 0, clear: 0 });
  t.end();
});

t.test('mountAttributes() clears the access time before it sets a part of it', (t) => {
  t.same(attributesOf('noatime'), { set: 0x10, clear: 0x70 });
  t.same(attributesOf('strictatime'), { set: 0x20, clear: 0x70 });
  t.same(attributesOf('relatime'), { set: 0, clear: 0x70 });
  t.same(attributesOf('atime'), { set: 0, clear: 0x70 });
  t.end();
});
