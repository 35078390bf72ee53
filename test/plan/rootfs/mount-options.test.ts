import t from 'tap';
import {
  namedAttributes,
  namesFlags,
  parseMountOptions,
  replacedAttributes,
} from '../../../src/plan/rootfs/mount-options.ts';
import { mountOptions, PLAIN_MANNER } from '../../../src/spec/mount-options.ts';

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
  t.same(parsed.manner, { ...PLAIN_MANNER, idMap: 'mount', copyUp: true });
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
    ...{ propagation: [], manner: PLAIN_MANNER, data: [] },
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

t.test('namesFlags() tells options that are flags from those that say what is mounted, and how', (t) => {
  const names = (...options: string[]) => namesFlags(parseMountOptions(options));
  for (const options of [['bind'], ['rbind', 'rprivate'], ['rbind', 'rro', 'defaults'], ['bind', 'remount']])
    t.notOk(names(...options), options.join());
  for (const option of ['ro', 'rw', 'dev', 'noatime', 'atime', 'async', 'nosymfollow', 'symfollow'])
    t.ok(names('bind', option), option);
  t.end();
});

t.test('namedAttributes() sets what the options name, and clears the access time before it sets a part of it', (t) => {
  const named = (...options: string[]) => namedAttributes(parseMountOptions(options));
  t.same(named('bind', 'sync', 'dirsync', 'mand', 'silent'), { set: 0, clear: 0 });
  t.same(named('ro', 'nosuid', 'nodev', 'noexec'), { set: 0xf, clear: 0 });
  t.same(named('rw', 'suid', 'dev', 'exec', 'atime'), { set: 0, clear: 0 });
  t.same(named('nodiratime', 'nosymfollow'), { set: 0x200080, clear: 0 });
  t.same(named('noatime'), { set: 0x10, clear: 0x70 });
  t.same(named('relatime'), { set: 0, clear: 0x70 });
  t.same(named('strictatime', 'noatime'), { set: 0x20, clear: 0x70 }, 'the stricter one, as in mount(2)');
  t.end();
});

t.test('replacedAttributes() clears what the options do not name, but the access time only with another', (t) => {
  const replaced = (...options: string[]) => replacedAttributes(parseMountOptions(options));
  t.same(replaced('bind', 'dev'), { set: 0, clear: 0x20000f });
  t.same(replaced('rbind', 'rw'), { set: 0, clear: 0x20000f });
  t.same(replaced('bind', 'ro', 'nosymfollow'), { set: 0x200001, clear: 0xe });
  t.same(replaced('bind', 'atime'), { set: 0, clear: 0x20000f }, 'atime sets nothing, so that noatime stays');
  t.same(replaced('noatime'), { set: 0x10, clear: 0x2000ff });
  t.same(replaced('relatime', 'nosuid'), { set: 2, clear: 0x2000fd });
  t.same(replaced('nodiratime'), { set: 0x80, clear: 0x20007f });
  t.end();
});
