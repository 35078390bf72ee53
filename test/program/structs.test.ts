import t from 'tap';
import { Memory } from '../../src/program/step.ts';
import {
  capData,
  CLONE_ARGS_SIZE,
  cloneArgs,
  cmsgLength,
  cmsgRights,
  iovec,
  mountAttr,
  msghdr,
  openHow,
  schedAttr,
  sockFprog,
} from '../../src/program/structs.ts';
import {
  CLONE_NEWNS,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../src/util/constants.ts';

t.test('openHow() is struct open_how, always close-on-exec', (t) => {
  const { bytes, text } = openHow({ flags: O_RDWR | O_NONBLOCK, resolve: RESOLVE_IN_ROOT });
  t.same([...new BigUint64Array(bytes.slice().buffer)], [BigInt(O_RDWR | O_NONBLOCK | 0o2000000), 0n, 0x10n]);
  t.equal(text, '{flags=O_CLOEXEC|O_NONBLOCK|O_RDWR, resolve=RESOLVE_IN_ROOT}');
  t.equal(
    openHow({ flags: O_PATH, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV }).text,
    '{flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV}',
  );
  t.end();
});

t.test('mountAttr() is struct mount_attr', (t) => {
  const { bytes, text } = mountAttr({ set: 0x100001, clear: 0x70, propagation: 0x40000, usernsFd: 7 });
  t.same([...new BigUint64Array(bytes.slice().buffer)], [0x100001n, 0x70n, 0x40000n, 7n]);
  t.equal(
    text,
    '{attr_set=MOUNT_ATTR_IDMAP|MOUNT_ATTR_RDONLY, attr_clr=MOUNT_ATTR__ATIME, propagation=MS_PRIVATE, userns_fd=7}',
  );
  t.equal(mountAttr({}).bytes.length, 32);
  t.end();
});

t.test('cloneArgs() is struct clone_args', (t) => {
  const { bytes, text } = cloneArgs(BigInt(CLONE_NEWNS));
  t.equal(bytes.length, CLONE_ARGS_SIZE);
  t.equal(text, '{flags=CLONE_NEWNS}');
  t.end();
});

t.test('capData() has the capabilities below 32 first', (t) => {
  const { bytes, text } = capData({ effective: new Set([40, 0]), permitted: new Set([0]), inheritable: new Set() });
  t.same([...new Uint32Array(bytes.slice().buffer)], [1, 1, 0, 0x100, 0, 0]);
  t.equal(text, '{effective=CAP_CHOWN|CAP_CHECKPOINT_RESTORE, permitted=CAP_CHOWN, inheritable=0}');
  t.end();
});

t.test('a message has its vector, its control message and their sizes', (t) => {
  const word = new Memory().word('word');
  const vector = iovec([{ of: word, size: 8 }]);
  t.same([vector.bytes.length, vector.links], [16, [{ at: 0, to: word }]]);
  for (const count of [1, 2, 3, 9]) {
    const control = cmsgRights(Array<number>(count).fill(7), 'rights');
    t.equal(control.bytes.length % 8, 0);
    t.equal(new DataView(control.bytes.buffer).getBigUint64(0, true), BigInt(cmsgLength(count)));
    const { bytes, links } = msghdr(vector, control, { shown: 'message' });
    t.same(links, [
      { at: 16, to: vector },
      { at: 32, to: control },
    ]);
    t.same([...new BigUint64Array(bytes.slice().buffer)], [0n, 0n, 0n, 1n, 0n, BigInt(control.bytes.length), 0n]);
  }
  t.ok(cmsgRights([1], 'rights', 4).bytes.length >= cmsgLength(1) + 4, 'room behind the last descriptor');
  t.end();
});

t.test('schedAttr() and sockFprog() show what they hold', (t) => {
  const times = { runtime: 1, deadline: 2, period: 3 };
  const { bytes, text } = schedAttr({ policy: 6, flags: 1, nice: -5, priority: 0, ...times });
  t.same([bytes.length, new DataView(bytes.buffer).getInt32(16, true)], [56, -5]);
  t.match(text, /^\{SCHED_DEADLINE, flags=SCHED_FLAG_RESET_ON_FORK, nice=-5, /);
  t.equal(sockFprog(new Uint8Array(16), 'two').bytes[0], 2);
  t.end();
});
