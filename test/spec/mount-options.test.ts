import t from 'tap';
import { mountOptions } from '../../src/spec/mount-options.ts';
import { MOUNT_ATTR__ATIME, MS_BIND, MS_REC } from '../../src/util/constants.ts';

// config.md, "Linux mount options", sorted by what is demanded of a runtime.
const must =
  'async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec noiversion ' +
  'nolazytime norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared rslave runbindable rw ' +
  'shared silent slave strictatime suid sync unbindable';
const should =
  'nosymfollow symfollow rro rrw rnosuid rsuid rnodev rdev rnoexec rexec rnodiratime rdiratime rrelatime rnorelatime ' +
  'rnoatime ratime rstrictatime rnostrictatime rnosymfollow rsymfollow idmap ridmap';
const may = 'mand nomand tmpcopyup';
const extra = 'rsync rasync rdirsync rmand rnomand copy-symlink src-nofollow dest-nofollow';

t.test('mountOptions has every option of the specification and the extra ones', (t) => {
  const names = [must, should, may, extra].join(' ').split(' ');
  t.equal(must.split(' ').length, 37);
  t.strictSame([...mountOptions.keys()].sort(), names.sort());
  t.end();
});

t.test('mountOptions: an option and its opposite touch the same flags', (t) => {
  const pairs =
    'ro rw|nosuid suid|nodev dev|noexec exec|sync async|mand nomand|noatime atime|nodiratime diratime|relatime norelatime|strictatime nostrictatime|iversion noiversion|lazytime nolazytime|silent loud|nosymfollow symfollow|rmand rnomand|rsync rasync';
  for (const [on = '', off = ''] of pairs.split('|').map((pair) => pair.split(' '))) {
    const set = mountOptions.get(on);
    const clear = mountOptions.get(off);
    if (set?.kind !== 'flag' || clear?.kind !== 'flag') throw new Error(`${on} ${off}`);
    t.ok(set.set !== 0 && set.set === clear.clear && set.clear === 0 && clear.set === 0, `${on} ${off}`);
  }
  const recursive = 'rro rrw|rnosuid rsuid|rnodev rdev|rnoexec rexec|rnodiratime rdiratime|rnosymfollow rsymfollow';
  for (const [on = '', off = ''] of recursive.split('|').map((pair) => pair.split(' '))) {
    const set = mountOptions.get(on);
    const clear = mountOptions.get(off);
    if (set?.kind !== 'recursive' || clear?.kind !== 'recursive') throw new Error(`${on} ${off}`);
    t.ok(set.attrSet !== 0 && set.attrSet === clear.attrClear && set.attrClear === 0 && clear.attrSet === 0, on);
  }
  t.end();
});

t.test('mountOptions: access time modes clear the whole field', (t) => {
  for (const name of ['ratime', 'rnoatime', 'rrelatime', 'rnorelatime', 'rstrictatime', 'rnostrictatime']) {
    t.match(mountOptions.get(name), { kind: 'recursive', attrClear: MOUNT_ATTR__ATIME }, name);
  }
  t.end();
});

t.test('mountOptions: bind and rbind alone set MS_BIND, defaults does nothing', (t) => {
  const binds = [...mountOptions].filter(([, option]) => option.kind === 'flag' && (option.set & MS_BIND) !== 0);
  t.strictSame(
    binds.map(([name]) => name),
    ['bind', 'rbind'],
  );
  t.strictSame(mountOptions.get('rbind'), { kind: 'flag', set: MS_BIND | MS_REC, clear: 0 });
  t.strictSame(mountOptions.get('defaults'), { kind: 'flag', set: 0, clear: 0 });
  t.equal(mountOptions.get('rshared')?.kind, 'propagation');
  t.equal(mountOptions.get('constructor'), undefined);
  t.end();
});
