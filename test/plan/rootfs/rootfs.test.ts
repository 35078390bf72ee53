import t from 'tap';
import type { PlanContext } from '../../../src/plan/base/context.ts';
import { PhaseList } from '../../../src/plan/base/phases.ts';
import {
  addEnterRoot,
  needsRootfsCover,
  planFinalPropagation,
  planRootMount,
} from '../../../src/plan/rootfs/rootfs.ts';
import type { Config, RootfsPropagation } from '../../../src/spec/generated/config.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const namespaces = [{ type: 'mount' as const }];
const joined = [{ type: 'mount' as const, path: '/proc/7/ns/mnt' }];
const context = (rootfsPropagation?: RootfsPropagation, noPivot = false) =>
  makeContext({
    config: { linux: { namespaces, ...(rootfsPropagation === undefined ? {} : { rootfsPropagation }) } },
    bundle: { rootfsMountPoint: '/bundle' },
    options: { noPivot },
  });

t.test('planRootMount() cuts the mounts off and makes the rootfs a mount', (t) => {
  t.equal(
    printSteps(planRootMount(context())),
    `
   0  umask(0)  # create files with the modes as written
   1  mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL)  # make the mounts of the host rslave  (/linux/rootfsPropagation)
   2  mount(NULL, "/bundle", NULL, MS_PRIVATE, NULL)  # make the mount below the rootfs, "/bundle", private
   3  open_tree(AT_FDCWD, "/bundle/rootfs", AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = root  # open rootfs "/bundle/rootfs"  (/root/path)
   4  move_mount(root, "", AT_FDCWD, "/bundle/rootfs", MOVE_MOUNT_F_EMPTY_PATH)  # make rootfs "/bundle/rootfs" a mount  (/root/path)
`,
  );
  t.end();
});

t.test('needsRootfsCover() where mounts have no mount namespace to be in', (t) => {
  const mounts = [{ destination: '/a', type: 'tmpfs' }];
  const at = (types: readonly ('mount' | 'pid')[]) => ({ linux: { namespaces: types.map((type) => ({ type })) } });
  const rows: [config: Partial<Config>, wanted: boolean][] = [
    [{ mounts, ...at(['mount']) }, false],
    [{ mounts, linux: { namespaces: [{ type: 'mount', path: '/proc/7/ns/mnt' }] } }, false],
    [{ mounts, ...at(['pid']) }, true],
    [{ mounts: [], ...at(['pid']) }, false],
    [{ mounts }, true],
    [{ root: { path: 'rootfs', readonly: true } }, true],
    [{ root: { path: 'rootfs' } }, false],
  ];
  for (const [config, wanted] of rows)
    t.equal(needsRootfsCover({ ociVersion: '1.3.0', ...config }), wanted, JSON.stringify(config));
  t.end();
});

t.test('planRootMount() opens the rootfs where the mount namespace is not new', (t) => {
  t.equal(
    printSteps(planRootMount(makeContext()).filter(({ label }) => label.startsWith('open'))),
    `
   0  openat(AT_FDCWD, "/bundle/rootfs", O_CLOEXEC|O_DIRECTORY|O_PATH, 0) = root  # open rootfs "/bundle/rootfs"  (/root/path)
`,
  );
  t.end();
});

t.test('planRootMount() keeps the umask of the caller out of a joined mount namespace as well', (t) => {
  // Mount points and devices are made with modes as written.
  for (const namespaces of [[], joined])
    t.match(planRootMount(makeContext({ config: { linux: { namespaces } } })), [
      { call: 'umask', operands: [0] },
      { call: 'openat' },
    ]);
  t.end();
});

/** The steps of each phase, and of what follows the last exchange. */
function enterRoot(context: PlanContext): string[] {
  const phases = new PhaseList();
  addEnterRoot(context, phases);
  const list = phases.exchange('ready', 'the rest').finish();
  return list.map(({ program, exchange }) => `${exchange}${printSteps(program.steps)}`);
}

/** Flags of the mounts that set the propagation of "/". */
function rootFlags(kind: RootfsPropagation): { before: unknown[]; after: unknown[] } {
  const flags = (steps: ReturnType<typeof planRootMount>) =>
    steps.flatMap((step) =>
      step.kind === 'call' && step.call === 'mount' && step.operands[1] === '/' ? [step.operands[3]] : [],
    );
  return { before: flags(planRootMount(context(kind))), after: flags(planFinalPropagation(context(kind))) };
}

t.test('planRootMount() and planFinalPropagation() set the propagation that is asked for', (t) => {
  const REC = 0x4000;
  t.same(rootFlags(''), { before: [0x80000 | REC], after: [] });
  t.same(rootFlags('slave'), { before: [0x80000], after: [] });
  t.same(rootFlags('private'), { before: [0x40000], after: [] });
  t.same(rootFlags('rprivate'), { before: [0x40000 | REC], after: [] });
  t.same(rootFlags('shared'), { before: [0x100000], after: [0x100000] });
  t.same(rootFlags('rshared'), { before: [0x100000 | REC], after: [0x100000 | REC] });
  // Nothing can be bound from an unbindable root, so the mounts are only cut off at first.
  t.same(rootFlags('unbindable'), { before: [0x80000 | REC], after: [0x20000] });
  t.same(rootFlags('runbindable'), { before: [0x80000 | REC], after: [0x20000 | REC] });
  t.end();
});

t.test('addEnterRoot() pivots without a directory for the old root', (t) => {
  t.same(enterRoot(context('shared')), [
    `ready
   0  openat(AT_FDCWD, "/", O_CLOEXEC|O_DIRECTORY|O_PATH, 0) = old-root  # open the old root
   1  fchdir(root)  # enter the rootfs
   2  pivot_root(".", ".")  # make the rootfs the root  (/root/path)
   3  fchdir(old-root)  # enter the old root
   4  mount(NULL, ".", NULL, MS_REC|MS_SLAVE, NULL)  # cut the old root off
   5  umount2(".", MNT_DETACH)  # unmount the old root
   6  close(old-root), accepts any errno  # close the old root
   7  chdir("/")  # enter the root
`,
  ]);
  t.end();
});

t.test('planFinalPropagation() makes the root shared or unbindable, in a mount namespace of its own', (t) => {
  t.equal(
    printSteps(planFinalPropagation(context('shared'))),
    `
   0  mount(NULL, "/", NULL, MS_SHARED, NULL)  # make the root shared  (/linux/rootfsPropagation)
`,
  );
  for (const namespaces of [[], joined])
    t.same(planFinalPropagation(makeContext({ config: { linux: { namespaces, rootfsPropagation: 'shared' } } })), []);
  t.end();
});

t.test(
  'addEnterRoot() moves the root with --no-pivot, and has the mounts of the host hidden before it is entered',
  (t) => {
    t.same(enterRoot(context(undefined, true)), [
      `host-mounts
   0  fchdir(root)  # enter the rootfs
   1  mount(NULL, "/", NULL, MS_PRIVATE, NULL)  # cut the old root off
   2  mount(".", "/", NULL, MS_MOVE, NULL)  # move the rootfs onto /  (/root/path)
   3  statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &stat)  # look at the mount of the rootfs
   4  writev(3, [tag 28, stat], 2)  # wait until the mounts of the host are hidden
`,
      `ready
   0  chroot(".")  # make the rootfs the root  (/root/path)
   1  chdir("/")  # enter the root
`,
    ]);
    t.end();
  },
);

t.test('addEnterRoot() leaves the root of other processes alone in a joined mount namespace', (t) => {
  for (const options of [{}, { noPivot: true }])
    t.same(enterRoot(makeContext({ config: { linux: { namespaces: joined } }, options })), [
      `ready
   0  fchdir(root)  # enter the rootfs
   1  chroot(".")  # make the rootfs the root  (/root/path)
   2  chdir("/")  # enter the root
`,
    ]);
  t.end();
});
