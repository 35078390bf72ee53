import t from 'tap';
import { bindSource, planBindMount, planHostTrees } from '../../src/plan/bind-mounts.ts';
import type { SourceKind } from '../../src/plan/facts.ts';
import type { Config, Mount, Namespace } from '../../src/spec/generated/config.ts';
import { makeContext, printSteps, type ContextChanges } from './fixtures.ts';

const sources: Record<string, SourceKind> = { '/src': 'directory', '/file': 'file', '/bundle/data': 'directory' };
const old = { kernel: { version: [5, 10] as const, mountSetattr: false } };

function contextOf(mounts: Mount[], changes: ContextChanges & { namespaces?: Namespace[] } = {}) {
  const { namespaces = [{ type: 'mount' }], ...rest } = changes;
  const linux: Config['linux'] = { namespaces };
  return makeContext({ ...rest, config: { mounts, linux }, bundle: { sources } });
}

const bind = (source: string, destination: string, ...options: string[]): Mount => ({ destination, source, options });
const mapped = {
  uidMappings: [{ containerID: 0, hostID: 5, size: 1 }],
  gidMappings: [{ containerID: 0, hostID: 5, size: 1 }],
};

function planOne(mount: Mount, changes: ContextChanges = {}) {
  return planBindMount(contextOf([mount], changes), mount, 0, undefined);
}

t.test('bindSource() finds relative sources in the bundle', (t) => {
  t.equal(bindSource(bind('/src', '/a'), '/bundle'), '/src');
  t.equal(bindSource(bind('data/x', '/a'), '/bundle'), '/bundle/data/x');
  t.end();
});

t.test('planBindMount() sets the options before the mount is attached', (t) => {
  t.equal(
    printSteps(planOne(bind('/src', '/a', 'rbind', 'ro', 'nosuid', 'rro', 'rslave', 'shared'))),
    `
   0  open_tree(AT_FDCWD, "/src", AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/src" on "/a": open source  (/mounts/0/source)
   1  mount_setattr(tree, "", AT_EMPTY_PATH, {set=0x3, clear=0x0}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
   2  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {set=0x1, clear=0x0}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
   3  openat2(root, "a", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/a"  (/mounts/0/destination)
   4  if not (target < 0) skip 3  # make "/a" unless it is there
   5    mkdirat(root, "a", 0755), accepts EEXIST  # create directory "/a"  (/mounts/0/destination)
   6    openat2(root, "a", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/a"  (/mounts/0/destination)
   7    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/a"  (/mounts/0/destination)
   8  move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/src" on "/a"  (/mounts/0)
   9  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=0x80000}, 32)  # bind "/src" on "/a": set propagation  (/mounts/0/options)
  10  mount_setattr(tree, "", AT_EMPTY_PATH, {propagation=0x100000}, 32)  # bind "/src" on "/a": set propagation  (/mounts/0/options)
  11  close(tree), accepts any errno  # close tree
  12  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planBindMount() binds a file on a file and without options as it is', (t) => {
  t.equal(
    printSteps(planOne(bind('/file', '/etc/hosts', 'bind'))),
    `
   0  open_tree(AT_FDCWD, "/file", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/file" on "/etc/hosts": open source  (/mounts/0/source)
   1  openat2(root, "etc/hosts", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
   2  if not (target < 0) skip 11  # make "/etc/hosts" unless it is there
   3    openat2(root, "etc", {flags=O_PATH|O_DIRECTORY, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/etc"  (/mounts/0/destination)
   4    if not (target < 0) skip 3  # skip 3 when not (target < 0)
   5      mkdirat(root, "etc", 0755), accepts EEXIST  # create directory "/etc"  (/mounts/0/destination)
   6      openat2(root, "etc", {flags=O_PATH|O_DIRECTORY, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/etc"  (/mounts/0/destination)
   7      if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/etc"  (/mounts/0/destination)
   8    fcntl(target, 1030, 0) = source  # keep target as source
   9    close(target), accepts any errno  # close target
  10    mknodat(source, "hosts", 0100644, 0), accepts EEXIST  # create file "/etc/hosts"  (/mounts/0/destination)
  11    openat2(root, "etc/hosts", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
  12    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
  13    close(source), accepts any errno  # close source
  14  move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/file" on "/etc/hosts"  (/mounts/0)
  15  close(tree), accepts any errno  # close tree
  16  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planBindMount() changes the attributes that the source has only where an option says so', (t) => {
  const attributes = (...options: string[]) =>
    planOne(bind('/src', '/a', 'bind', ...options)).flatMap((step) => {
      const block = step.kind === 'call' && step.call === 'mount_setattr' ? step.operands[3] : undefined;
      return typeof block === 'object' && block.kind === 'block' ? [block.text] : [];
    });
  t.same(attributes(), []);
  t.same(attributes('rw'), ['{set=0x0, clear=0x1}']);
  t.same(attributes('noatime', 'dev'), ['{set=0x10, clear=0x74}']);
  t.same(attributes('private'), ['{propagation=0x40000}']);
  t.end();
});

t.test('planBindMount() does not follow a source that is a symlink when it is told so', (t) => {
  const [open] = planOne(bind('/src', '/a', 'bind', 'src-nofollow'));
  t.match(open, { call: 'open_tree', operands: [-100, '/src', 0x80000 | 1 | 0x100] });
  t.end();
});

t.test('planBindMount() remounts after the mount is attached where mount_setattr is missing', (t) => {
  const calls = (mount: Mount) =>
    planOne(mount, { host: old }).flatMap((step) => (step.kind === 'call' ? [[step.call, step.operands.at(1)]] : []));
  const directory = calls(bind('/src', '/a', 'bind', 'ro'));
  const attached = directory.findIndex(([name]) => name === 'move_mount');
  const changed = directory.findIndex(([name, target]) => name === 'mount' && target === '.');
  t.ok(attached > 0 && changed > attached);
  const file = calls(bind('/file', '/a', 'bind', 'ro'));
  t.ok(file.some(([name, target]) => name === 'mount' && target === '/proc/self/fd/5'));
  t.end();
});

t.test('planBindMount() refuses what was not looked at, and what an old kernel cannot do', (t) => {
  t.throws(() => planOne(bind('/other', '/a', 'bind')), {
    code: 'bundle',
    message: 'bind "/other" on "/a": the source was not looked at (/mounts/0/source)',
  });
  t.throws(() => planOne({ ...bind('/src', '/a', 'bind'), ...mapped }, { host: old }), {
    code: 'unsupported',
    message: 'bind "/src" on "/a": map ids: idmapped mounts need Linux 5.12, found 5.10 (/mounts/0 of config.json)',
  });
  t.throws(() => planOne(bind('/src', '/a', 'bind', 'rro'), { host: old }), { code: 'unsupported' });
  t.end();
});

t.test('planBindMount() maps ids through the namespace that belongs to the mount', (t) => {
  const mount = { ...bind('/src', '/a', 'rbind', 'ridmap'), ...mapped };
  const step = planOne(mount).find(({ label }) => label === 'bind "/src" on "/a": map ids');
  t.match(step, {
    call: 'mount_setattr',
    operands: [{ name: 'tree' }, '', 0x1000 | 0x8000, { text: '{set=0x100000, usernsFd=0x7}' }, 32],
    pointer: '/mounts/0',
  });
  const single = { ...bind('/src', '/a', 'rbind', 'idmap'), ...mapped };
  t.match(
    planOne(single).find(({ label }) => label === 'bind "/src" on "/a": map ids'),
    { operands: [{}, '', 0x1000] },
  );
  t.end();
});

t.test('planHostTrees() opens the sources with the privileges of the host', (t) => {
  const mounts: Mount[] = [
    { destination: '/proc', type: 'proc' },
    bind('/src', '/a', 'rbind'),
    { ...bind('data', '/b', 'bind', 'idmap'), ...mapped },
  ];
  const namespaces: Namespace[] = [{ type: 'mount' }, { type: 'user' }];
  const context = contextOf(mounts, { namespaces });
  const { steps, trees } = planHostTrees(context);
  t.equal(
    printSteps(steps),
    `
   0  open_tree(AT_FDCWD, "/src", AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree-1  # bind "/src" on "/a": open source  (/mounts/1/source)
   1  mount_setattr(tree-1, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=0x80000}, 32)  # cut bind "/src" on "/a" off from the host
   2  open_tree(AT_FDCWD, "/bundle/data", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree-2  # bind "/bundle/data" on "/b": open source  (/mounts/2/source)
   3  mount_setattr(tree-2, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=0x80000}, 32)  # cut bind "/bundle/data" on "/b" off from the host
   4  mount_setattr(tree-2, "", AT_EMPTY_PATH, {set=0x100000, usernsFd=0x7}, 32)  # bind "/bundle/data" on "/b": map ids  (/mounts/2)
`,
  );
  t.same([...trees.keys()], [1, 2]);
  const [, second] = mounts;
  if (second === undefined) throw new Error('no mount');
  const later = planBindMount(context, second, 1, trees.get(1));
  t.notOk(later.some((step) => step.kind === 'call' && step.call === 'open_tree'));
  t.match(
    later.find((step) => step.kind === 'call' && step.call === 'move_mount'),
    { operands: [{ name: 'tree-1' }] },
  );
  t.end();
});

t.test('planHostTrees() is empty without a user namespace, a new mount namespace, or mount_setattr', (t) => {
  const mounts = [bind('/src', '/a', 'bind')];
  const user: Namespace = { type: 'user' };
  t.same(planHostTrees(contextOf(mounts)).steps, []);
  t.same(planHostTrees(contextOf(mounts, { namespaces: [user, { type: 'mount', path: '/x' }] })).steps, []);
  t.same(planHostTrees(contextOf(mounts, { namespaces: [user, { type: 'mount' }], host: old })).steps, []);
  t.end();
});
