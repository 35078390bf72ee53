import t from 'tap';
import {
  changeAttributes,
  changeAttributesRecursively,
  changePropagation,
  requireMountSetattr,
} from '../../../src/plan/rootfs/mount-attributes.ts';
import type { PlanContext } from '../../../src/plan/base/context.ts';
import type { Region } from '../../../src/program/step.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const old = { host: { kernel: { version: [5, 10] as const, mountSetattr: false } } };
const readOnly = { set: 0x1, clear: 0 };
const MS_SHARED = 0x100000;
const MS_REC = 0x4000;

/** The word for the handle of a mount. */
function treeOf({ memory }: PlanContext): Region {
  return memory.word('tree');
}

t.test('changeAttributes() and its like take one call of mount_setattr', (t) => {
  const context = makeContext();
  const tree = treeOf(context);
  const options = { label: 'change it', pointer: '/mounts/0/options' };
  t.equal(
    printSteps([
      ...changeAttributes(context, tree, { set: 0xf, clear: 0x70 }, options),
      ...changeAttributesRecursively(context, tree, readOnly, options),
      ...changePropagation(context, tree, MS_SHARED, options),
      ...changePropagation(context, tree, MS_SHARED | MS_REC, { label: 'change it' }),
    ]),
    `
   0  mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY, attr_clr=MOUNT_ATTR__ATIME}, 32)  # change it  (/mounts/0/options)
   1  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_RDONLY}, 32)  # change it  (/mounts/0/options)
   2  mount_setattr(tree, "", AT_EMPTY_PATH, {propagation=MS_SHARED}, 32)  # change it  (/mounts/0/options)
   3  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SHARED}, 32)  # change it
`,
  );
  t.end();
});

t.test('changeAttributes() is empty when there is nothing to change', (t) => {
  for (const changes of [{}, old]) {
    const context = makeContext(changes);
    const nothing = { set: 0, clear: 0 };
    t.same(changeAttributes(context, treeOf(context), nothing, { label: 'x' }), []);
    t.same(changeAttributesRecursively(context, treeOf(context), nothing, { label: 'x' }), []);
  }
  t.end();
});

t.test('changeAttributes() names a directory as "." where mount_setattr is missing', (t) => {
  const context = makeContext(old);
  const options = { label: 'change it', isDirectory: true };
  const steps = changeAttributes(context, treeOf(context), readOnly, options);
  t.match(steps, [{ call: 'fchdir' }, { call: 'fstatfs' }]);
  t.same(
    steps.flatMap((step) => (step.kind === 'call' && step.call === 'mount' ? [step.operands] : [])),
    [0, 2, 4, 2 | 4, 8, 2 | 8, 4 | 8, 2 | 4 | 8].map((kept) => [0, '.', 0, 0x1000 | 0x20 | 1 | kept, 0]),
  );
  t.match(changePropagation(context, treeOf(context), MS_SHARED, options), [
    { call: 'fchdir' },
    { call: 'mount', operands: [0, '.', 0, MS_SHARED, 0] },
  ]);
  t.end();
});

t.test('changeAttributes() names a file by a number where mount_setattr is missing', (t) => {
  const context = makeContext(old);
  const attributes = { set: 0x1, clear: 0xe };
  t.equal(
    printSteps(changeAttributes(context, treeOf(context), attributes, { label: 'change it', pointer: '/p' })),
    `
   0  dup3(tree, 5, O_CLOEXEC)  # number tree 5
   1  fstatfs(tree, &stat)  # change it  (/p)
   2  if not (attributes are 0) skip 1  # keep the attributes 0
   3    mount(NULL, "/proc/self/fd/5", NULL, MS_BIND|MS_RDONLY|MS_REMOUNT, NULL)  # change it  (/p)
   4  dup3(3, 5, O_CLOEXEC)  # keep number 5
   5  dup3(3, 6, O_CLOEXEC)  # keep number 6
`,
  );
  t.end();
});

t.test('changePropagation() names a file by a number where mount_setattr is missing', (t) => {
  const context = makeContext(old);
  t.equal(
    printSteps(changePropagation(context, treeOf(context), MS_SHARED, { label: 'change it' })),
    `
   0  dup3(tree, 5, O_CLOEXEC)  # number tree 5
   1  mount(NULL, "/proc/self/fd/5", NULL, MS_SHARED, NULL)  # change it
   2  dup3(3, 5, O_CLOEXEC)  # keep number 5
   3  dup3(3, 6, O_CLOEXEC)  # keep number 6
`,
  );
  t.end();
});

t.test('changeAttributes() remounts with every flag that is asked for', (t) => {
  const context = makeContext(old);
  /** The flags that are in each of the remounts, whatever else they keep. */
  const flagsOf = (set: number): number =>
    changeAttributes(context, treeOf(context), { set, clear: 0 }, { label: 'x', isDirectory: true }).reduce(
      (common, step) =>
        step.kind === 'call' && step.call === 'mount' && typeof step.operands[3] === 'number'
          ? common & step.operands[3]
          : common,
      ~0x1020,
    );
  t.equal(flagsOf(0x1), 1, 'ro');
  t.equal(flagsOf(0x2), 2, 'nosuid');
  t.equal(flagsOf(0x4), 4, 'nodev');
  t.equal(flagsOf(0x8), 8, 'noexec');
  t.equal(flagsOf(0x10), 0x400, 'noatime');
  t.equal(flagsOf(0x20), 0x1000000, 'strictatime');
  t.equal(flagsOf(0x80), 0x800, 'nodiratime');
  // MS_NOSYMFOLLOW is there since Linux 5.10, before mount_setattr(2).
  t.equal(flagsOf(0x200000), 0x100, 'nosymfollow');
  t.end();
});

t.test('changeAttributes() keeps the flags that the mount has where mount_setattr is missing', (t) => {
  // A remount replaces all flags: without a look at them, `ro` would take `nosuid` away from the source's mount, or fail
  // with EPERM in a user namespace, where the flags are locked. planReadonlyPaths() has the same need and looks.
  const context = makeContext(old);
  const steps = changeAttributes(context, treeOf(context), readOnly, { label: 'x', isDirectory: true });
  const calls = steps.flatMap((step) => (step.kind === 'call' ? [step.call] : []));
  t.ok(calls.includes('fstatfs') && calls.indexOf('fstatfs') < calls.indexOf('mount'), 'it looks at the flags first');
  t.end();
});

t.test('changeAttributesRecursively() and requireMountSetattr() refuse an old kernel', (t) => {
  const context = makeContext(old);
  t.throws(() => changeAttributesRecursively(context, treeOf(context), readOnly, { label: 'x', pointer: '/p' }), {
    code: 'unsupported',
    message: 'x: recursive mount options need Linux 5.12, found 5.10 (/p of config.json)',
  });
  t.throws(
    () => {
      requireMountSetattr(context, { label: 'y' }, 'such things');
    },
    { code: 'unsupported', message: 'y: such things need Linux 5.12, found 5.10' },
  );
  t.doesNotThrow(() => {
    requireMountSetattr(makeContext(), { label: 'y' }, 'such things');
  });
  t.end();
});
