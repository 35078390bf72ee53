import t from 'tap';
import { planBindMount } from '../../../src/plan/rootfs/bind-mounts.ts';
import { bindSource, planHostTrees } from '../../../src/plan/rootfs/bind-source.ts';
import type { SourceKind } from '../../../src/plan/base/facts.ts';
import type { Step } from '../../../src/program/step.ts';
import type { Config, Mount, Namespace } from '../../../src/spec/generated/config.ts';
import { makeContext, printSteps, type ContextChanges } from '../fixtures.ts';

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
   1  mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY, attr_clr=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSYMFOLLOW}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
   2  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_RDONLY}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
   3  openat2(root, "a", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/a"  (/mounts/0/destination)
   4  if not (target < 0) skip 3  # make "/a" unless it is there
   5    mkdirat(root, "a", 0755), accepts EEXIST  # create directory "/a"  (/mounts/0/destination)
   6    openat2(root, "a", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/a"  (/mounts/0/destination)
   7    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/a"  (/mounts/0/destination)
   8  fstatfs(target, &stat)  # bind "/src" on "/a": look at the destination  (/mounts/0)
   9  if not (is a proc) skip 2  # look at the source when the destination is a proc
  10    fstatfs(tree, &stat)  # bind "/src" on "/a": look at the source  (/mounts/0)
  11    if not (is a proc) fail EPERM  # bind "/src" on "/a"  (/mounts/0)
  12  move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/src" on "/a"  (/mounts/0)
  13  close(target), accepts any errno  # close target
  14  mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SLAVE}, 32)  # bind "/src" on "/a": set propagation  (/mounts/0/options)
  15  mount_setattr(tree, "", AT_EMPTY_PATH, {propagation=MS_SHARED}, 32)  # bind "/src" on "/a": set propagation  (/mounts/0/options)
  16  close(tree), accepts any errno  # close tree
`,
  );
  t.end();
});

t.test('planBindMount() binds a file on a file and without options as it is', (t) => {
  t.equal(
    printSteps(planOne(bind('/file', '/etc/hosts', 'bind'))),
    `
   0  open_tree(AT_FDCWD, "/file", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/file" on "/etc/hosts": open source  (/mounts/0/source)
   1  openat2(root, "etc/hosts", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
   2  if not (target < 0) skip 9  # make "/etc/hosts" unless it is there
   3    openat2(root, "etc", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = parent, accepts ENOENT EAGAIN  # open "/etc"  (/mounts/0/destination)
   4    if not (parent < 0) skip 3  # skip 3 when not (parent < 0)
   5      mkdirat(root, "etc", 0755), accepts EEXIST  # create directory "/etc"  (/mounts/0/destination)
   6      openat2(root, "etc", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = parent, accepts EAGAIN  # open "/etc"  (/mounts/0/destination)
   7      if parent == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/etc"  (/mounts/0/destination)
   8    mknodat(parent, "hosts", S_IFREG|0644, 0), accepts EEXIST  # create file "/etc/hosts"  (/mounts/0/destination)
   9    openat2(root, "etc/hosts", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
  10    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/etc/hosts"  (/mounts/0/destination)
  11    close(parent), accepts any errno  # close parent
  12  fstatfs(target, &stat)  # bind "/file" on "/etc/hosts": look at the destination  (/mounts/0)
  13  if not (is a proc) skip 2  # look at the source when the destination is a proc
  14    fstatfs(tree, &stat)  # bind "/file" on "/etc/hosts": look at the source  (/mounts/0)
  15    if not (is a proc) fail EPERM  # bind "/file" on "/etc/hosts"  (/mounts/0)
  16  move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH) = answer, accepts EINVAL  # bind "/file" on "/etc/hosts"  (/mounts/0)
  17  if not (answer == -EINVAL) skip 3  # bind "/file" on "/etc/hosts": go on when it is there
  18    statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # bind "/file" on "/etc/hosts": look at the mount point
  19    if is a directory fail ENOTDIR  # bind "/file" on "/etc/hosts": a file on a directory  (/mounts/0)
  20    move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/file" on "/etc/hosts"  (/mounts/0)
  21  close(target), accepts any errno  # close target
  22  close(tree), accepts any errno  # close tree
`,
  );
  t.end();
});

const attributesOf = (steps: readonly Step[]) =>
  steps.flatMap((step) => {
    const block = step.kind === 'call' && step.call === 'mount_setattr' ? step.operands[3] : undefined;
    return typeof block === 'object' && block.kind === 'block' ? [block.text] : [];
  });

t.test('planBindMount() replaces the flags of the source by those of the options, where there are any', (t) => {
  const attributes = (...options: string[]) => attributesOf(planOne(bind('/src', '/a', 'bind', ...options)));
  t.same(attributes(), []);
  t.same(attributes('rw'), [
    '{attr_clr=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOSYMFOLLOW|MOUNT_ATTR_RDONLY}',
  ]);
  t.same(attributes('noatime', 'dev'), [
    '{attr_set=MOUNT_ATTR_NOATIME, attr_clr=MOUNT_ATTR__ATIME|MOUNT_ATTR_NODEV|MOUNT_ATTR_NODIRATIME|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOSYMFOLLOW|MOUNT_ATTR_RDONLY}',
  ]);
  t.same(attributes('private'), ['{propagation=MS_PRIVATE}']);
  t.same(attributes('rro'), ['{attr_set=MOUNT_ATTR_RDONLY}'], 'what is below has its own options');
  const kernel = { version: [5, 13] as const, mountSetattr: true };
  const before514 = planOne(bind('/src', '/a', 'bind', 'rw'), { host: { kernel } });
  t.same(
    attributesOf(before514),
    ['{attr_clr=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY}'],
    'MOUNT_ATTR_NOSYMFOLLOW came with Linux 5.14',
  );
  const with514 = planOne(bind('/src', '/a', 'bind', 'rw'), { host: { kernel: { ...kernel, version: [5, 14] } } });
  t.same(attributesOf(with514), attributes('rw'), 'Linux 5.14 itself');
  t.end();
});

const lockedMount = bind('/src', '/a', 'bind', 'nosuid', 'exec');

t.test('planBindMount() lets the flags of a source from the host stay in a user namespace', (t) => {
  const context = contextOf([lockedMount], { namespaces: [{ type: 'user' }, { type: 'mount' }] });
  t.equal(
    printSteps(planBindMount(context, lockedMount, 0, context.memory.word('tree-0')).slice(0, 3)),
    `
   0  fstatfs(tree-0, &stat)  # bind "/src" on "/a": set options  (/mounts/0/options)
   1  if not (MS_NOEXEC is not set) fail EPERM  # bind "/src" on "/a": set options  (/mounts/0/options)
   2  mount_setattr(tree-0, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOSUID, attr_clr=MOUNT_ATTR_NOSYMFOLLOW}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
`,
  );
  t.end();
});

t.test('planBindMount() keeps locked flags where the kernel says that they are', (t) => {
  const context = contextOf([lockedMount], { host: { identity: { inUserNamespace: true } } });
  t.equal(
    printSteps(planBindMount(context, lockedMount, 0, undefined).slice(1, 6)),
    `
   0  mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOSUID, attr_clr=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSYMFOLLOW|MOUNT_ATTR_RDONLY}, 32) = answer, accepts EPERM  # bind "/src" on "/a": set options  (/mounts/0/options)
   1  if not (answer < 0) skip 3  # keep the flags of the source where they are locked
   2    fstatfs(tree, &stat)  # bind "/src" on "/a": set options  (/mounts/0/options)
   3    if not (MS_NOEXEC is not set) fail EPERM  # bind "/src" on "/a": set options  (/mounts/0/options)
   4    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOSUID, attr_clr=MOUNT_ATTR_NOSYMFOLLOW}, 32)  # bind "/src" on "/a": set options  (/mounts/0/options)
`,
  );
  t.end();
});

t.test('planBindMount() opens a source inside the rootfs below the root, when its turn comes', (t) => {
  const mounts = [bind('/bundle/rootfs/run/x', '/a', 'rbind')];
  const bundle = {
    sources: { '/bundle/rootfs/run/x': 'missing' as const },
    inRootfs: { '/bundle/rootfs/run/x': '/run/x' },
  };
  const namespaces: Namespace[] = [{ type: 'user' }, { type: 'mount' }];
  const context = makeContext({ config: { mounts, linux: { namespaces } }, bundle });
  t.same(planHostTrees(context).steps, [], 'not in advance');
  const [mount] = mounts;
  if (mount === undefined) throw new Error('no mount');
  const steps = planBindMount(context, mount, 0, undefined);
  t.equal(
    printSteps(steps).split('\n').slice(0, 6).join('\n').concat('\n'),
    `
   0  openat2(root, "run/x", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = source, accepts EAGAIN  # bind "/bundle/rootfs/run/x" on "/a": open source  (/mounts/0/source)
   1  if source == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # bind "/bundle/rootfs/run/x" on "/a": open source  (/mounts/0/source)
   2  open_tree(source, "", AT_EMPTY_PATH|AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/bundle/rootfs/run/x" on "/a": open source  (/mounts/0/source)
   3  close(source), accepts any errno  # close source
   4  statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/bundle/rootfs/run/x"
`,
  );
  const made = steps.flatMap((step) => (step.kind === 'call' && /^mk/.test(step.call) ? [step.call] : []));
  t.same(made, ['mkdirat', 'mknodat'], 'whichever the source is');
  t.end();
});

t.test(
  'planHostTrees() opens an id-mapped source inside the rootfs below the root, unless a mount provides it',
  (t) => {
    const source = '/bundle/rootfs/run/x';
    const mount = { ...bind(source, '/a', 'bind'), ...mapped };
    const plan = (...mounts: Mount[]) => {
      const linux: Config['linux'] = { namespaces: [{ type: 'user' }, { type: 'mount' }] };
      const bundle = { sources: { [source]: 'directory' as const }, inRootfs: { [source]: '/run/x' } };
      return planHostTrees(makeContext({ config: { mounts, linux }, bundle }));
    };
    const calls = plan({ destination: '/tmp', type: 'tmpfs' }, mount).steps.flatMap((step) =>
      step.kind === 'call' ? [step.call] : [],
    );
    t.same(calls, ['openat', 'openat2', 'open_tree', 'close', 'close', 'mount_setattr', 'mount_setattr']);
    t.throws(() => plan({ destination: '/run', type: 'tmpfs' }, mount), { code: 'unsupported' });
    t.end();
  },
);

t.test('planBindMount() makes a symlink where one is to be copied', (t) => {
  const mount = bind('/link', '/etc/zone', 'bind', 'copy-symlink');
  const plan = (links: Record<string, string>) =>
    planBindMount(makeContext({ bundle: { sources: { '/link': 'file' }, links } }), mount, 0, undefined);
  t.equal(
    printSteps(plan({ '/link': '../usr/UTC' }).slice(-10)),
    `
   0  mkdirat(root, "etc", 0755), accepts EEXIST  # create directory "/etc"  (/mounts/0/destination)
   1  openat2(root, "etc", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/etc"  (/mounts/0/destination)
   2  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/etc"  (/mounts/0/destination)
   3  symlinkat("../usr/UTC", target, "zone") = answer, accepts EEXIST  # bind "/link" on "/etc/zone": copy the symlink  (/mounts/0)
   4  if not (answer == -EEXIST) skip 4  # verify what was there
   5    readlinkat(target, "zone", <text of the symlink>, 16) = answer  # bind "/link" on "/etc/zone": copy the symlink  (/mounts/0)
   6    if not (its text has 10 bytes) fail EEXIST  # bind "/link" on "/etc/zone": copy the symlink  (/mounts/0)
   7    if not (bytes 0 onwards are the same) fail EEXIST  # bind "/link" on "/etc/zone": copy the symlink  (/mounts/0)
   8    if not (bytes 8 onwards are the same) fail EEXIST  # bind "/link" on "/etc/zone": copy the symlink  (/mounts/0)
   9  close(target), accepts any errno  # close target
`,
  );
  t.ok(
    plan({}).some((step) => step.kind === 'call' && step.call === 'move_mount'),
    'a file is bound',
  );
  t.end();
});

t.test('planBindMount() leaves a symlink at the destination alone when it is told so', (t) => {
  const steps = planOne(bind('/file', '/a', 'bind', 'dest-nofollow'));
  const opened = steps.flatMap((step) => {
    const how = step.kind === 'call' && step.call === 'openat2' ? step.operands[2] : undefined;
    return typeof how === 'object' && how.kind === 'block' ? [how.text.includes('O_NOFOLLOW')] : [];
  });
  t.same(opened, [true, true]);
  t.match(
    steps.flatMap(({ failure = '' }) => (failure.includes('nofollow') ? [failure] : [])),
    ['proc', 'sysfs', 'devpts'].map(
      (type) => `bind "/file" on "/a": the destination is on a ${type}, which the option`,
    ),
  );
  t.end();
});

t.test('planBindMount() changes the flags of what is mounted for a remount', (t) => {
  t.equal(
    printSteps(planOne({ destination: '/a', options: ['bind', 'remount', 'ro'] })),
    `
   0  openat2(root, "a", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # remount "/a"  (/mounts/0/destination)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # remount "/a"  (/mounts/0/destination)
   2  mount_setattr(target, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOSYMFOLLOW}, 32)  # remount "/a": set options  (/mounts/0/options)
   3  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('CVE-2019-19921: planBindMount() binds nothing but a proc on /proc, or where the image leads there', (t) => {
  const failures = (destination: string) =>
    planOne(bind('/src', destination, 'bind')).flatMap(({ failure = '' }) =>
      failure.includes('cannot be mounted') ? [failure] : [],
    );
  t.same(failures('//proc/.'), [
    'bind "/src" on "//proc/.": "//proc/." cannot be mounted because it is not of type proc',
  ]);
  t.same(failures('/a'), ['bind "/src" on "/a": "/a" cannot be mounted because it is inside /proc']);
  t.same(failures('/proc/cpuinfo'), []);
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
    operands: [{ name: 'tree' }, '', 0x1000 | 0x8000, { text: '{attr_set=MOUNT_ATTR_IDMAP, userns_fd=7}' }, 32],
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
   1  mount_setattr(tree-1, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SLAVE}, 32)  # cut bind "/src" on "/a" off from the host
   2  open_tree(AT_FDCWD, "/bundle/data", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree-2  # bind "/bundle/data" on "/b": open source  (/mounts/2/source)
   3  mount_setattr(tree-2, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SLAVE}, 32)  # cut bind "/bundle/data" on "/b" off from the host
   4  mount_setattr(tree-2, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP, userns_fd=7}, 32)  # bind "/bundle/data" on "/b": map ids  (/mounts/2)
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
