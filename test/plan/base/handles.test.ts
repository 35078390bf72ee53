import t from 'tap';
import {
  components,
  ensureInRoot,
  type EnsureOptions,
  isDeviceNumber,
  isDirectory,
  openInRoot,
  statHandle,
} from '../../../src/plan/base/handles.ts';
import { O_PATH, O_RDWR } from '../../../src/util/constants.ts';
import { call } from '../../../src/program/build.ts';
import { AT_FDCWD } from '../../../src/util/constants.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import type { TreeDescription } from '../../../src/program/model/files.ts';
import { simulate } from '../../../src/program/model/simulate.ts';
import type { Step } from '../../../src/program/step.ts';
import { ERRNO } from '../../../src/util/errno.ts';
import { makeContext, printSteps } from '../fixtures.ts';
import type { PlanContext } from '../../../src/plan/base/context.ts';

/** `ensureInRoot` whose handle is `target`. */
function ensureIn(context: PlanContext, path: string, options: EnsureOptions): Step[] {
  return ensureInRoot(context, path, context.memory.word('target'), options);
}

t.test('components() cleans a path and never leaves the root', (t) => {
  t.same(components('/a/./b//../c/'), ['a', 'c']);
  t.same(components('../../x'), ['x']);
  t.same(components('/'), []);
  t.same(components(''), []);
  t.same(components('/a/../..'), []);
  t.same(components('/...'), ['...']);
  t.end();
});

t.test('CVE-2021-30465: openInRoot() opens below the root and follows no magic links', (t) => {
  const context = makeContext();
  const { memory } = context;
  const [first, second, third, fourth] = [
    memory.word('first'),
    memory.word('second'),
    memory.word('third'),
    memory.word('fourth'),
  ];
  t.equal(
    printSteps([
      ...openInRoot(context, '/a/../b', first, { label: 'open' }),
      ...openInRoot(context, '/', second, { label: 'open', pointer: '/x', noSymlinks: true, directory: true }),
      ...openInRoot(context, 'b', third, { label: 'open', noFollow: true, accept: ['ENOENT'] }),
      ...openInRoot(context, 'b', fourth, { label: 'open', pointer: '/x', access: O_RDWR }),
    ]),
    `
   0  openat2(root, "b", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = first, accepts EAGAIN  # open
   1  if first == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open
   2  openat2(root, ".", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = second  # open  (/x)
   3  openat2(root, "b", {flags=O_CLOEXEC|O_NOFOLLOW|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = third, accepts ENOENT EAGAIN  # open
   4  if third == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open
   5  openat2(root, "b", {flags=O_CLOEXEC|O_RDWR, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = fourth, accepts EAGAIN  # open  (/x)
   6  if fourth == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open  (/x)
`,
  );
  t.end();
});

t.test('ensureInRoot() makes what is missing, a component at a time', (t) => {
  t.equal(
    printSteps(ensureIn(makeContext(), '/a/b/c', { kind: 'file', pointer: '/p' })),
    `
   0  openat2(root, "a/b/c", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/a/b/c"  (/p)
   1  if not (target < 0) skip 15  # make "/a/b/c" unless it is there
   2    openat2(root, "a", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/a"  (/p)
   3    if not (target < 0) skip 3  # skip 3 when not (target < 0)
   4      mkdirat(root, "a", 0755), accepts EEXIST  # create directory "/a"  (/p)
   5      openat2(root, "a", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/a"  (/p)
   6      if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/a"  (/p)
   7    openat2(root, "a/b", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = parent, accepts ENOENT EAGAIN  # open "/a/b"  (/p)
   8    if not (parent < 0) skip 3  # skip 3 when not (parent < 0)
   9      mkdirat(target, "b", 0755), accepts EEXIST  # create directory "/a/b"  (/p)
  10      openat2(root, "a/b", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = parent, accepts EAGAIN  # open "/a/b"  (/p)
  11      if parent == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/a/b"  (/p)
  12    close(target), accepts any errno  # close target
  13    mknodat(parent, "c", S_IFREG|0644, 0), accepts EEXIST  # create file "/a/b/c"  (/p)
  14    openat2(root, "a/b/c", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/a/b/c"  (/p)
  15    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/a/b/c"  (/p)
  16    close(parent), accepts any errno  # close parent
`,
  );
  t.equal(
    printSteps(ensureIn(makeContext(), '/', { kind: 'directory' })),
    `
   0  openat2(root, ".", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/"
`,
  );
  t.end();
});

/** Runs steps below `rootfs`; the word root is its handle. */
function runInRoot(steps: readonly Step[], rootfs: TreeDescription, context = makeContext(), busy = 0) {
  const { root } = context.slots;
  const open = call('openat', [AT_FDCWD, '/rootfs', O_PATH, 0], { label: 'open the root', result: root });
  const kernel = new ModelKernel({ syncFd: 3, tree: { rootfs, host: {} } });
  const before = kernel.descriptors.size;
  const answer = kernel.call.bind(kernel);
  let lookups = 0;
  // Another process renames: the kernel gives the first lookups up.
  kernel.call = (name, ...rest) => (name === 'openat2' && lookups++ < busy ? -11n : answer(name, ...rest));
  const program = { name: 'test', steps: [open, ...steps], replies: false };
  const simulation = simulate(program, kernel, { arch: 'x86-64', syncFd: 3 });
  const modeOf = (path: string): string => {
    try {
      return kernel.find(AT_FDCWD, path, { noFollow: true }).mode.toString(8);
    } catch {
      return 'nothing';
    }
  };
  return { simulation, modeOf, descriptors: kernel.descriptors.size - before };
}

t.test('ensureInRoot() works whatever part of the path is there', (t) => {
  const trees: TreeDescription[] = [{}, { a: {} }, { a: { b: {} } }, { a: { b: { c: {} } } }];
  for (const tree of trees) {
    const directory = runInRoot(ensureIn(makeContext(), '/a/b/c', { kind: 'directory' }), tree);
    t.equal(directory.simulation.failure, undefined);
    t.equal(directory.modeOf('/rootfs/a/b/c'), '40755');
    t.equal(directory.descriptors, 2, 'only the root and the target stay open');
  }
  const file = runInRoot(ensureIn(makeContext(), '/a/f', { kind: 'file' }), {});
  t.equal(file.modeOf('/rootfs/a/f'), '100644');
  t.end();
});

t.test('openInRoot() repeats a lookup that met a rename, and not for ever', (t) => {
  const run = (busy: number) => {
    const context = makeContext();
    const open = openInRoot(context, '/link', context.memory.word('target'), { label: 'open "/link"', pointer: '/p' });
    return { open, ...runInRoot(open, { link: '-> a/../b', a: {}, b: {} }, context, busy) };
  };
  for (const busy of [1, 64]) {
    const { simulation, descriptors } = run(busy);
    t.equal(simulation.failure, undefined, `${busy} times`);
    t.equal(descriptors, 2, 'the root and the target are open');
  }
  const { simulation, open } = run(65);
  t.same(simulation.failure, { step: 2, errno: 11 });
  t.match(open[1], {
    pointer: '/p',
    failure: 'open "/link": the host renamed or mounted something during each of 65 lookups: {errno}',
  });
  t.end();
});

t.test('ensureInRoot() opens what is there when its lookups met a rename', (t) => {
  for (const busy of [1, 2, 3, 4, 40]) {
    for (const tree of [
      { a: '-> b/../c', b: {}, c: { d: {} } },
      { a: '-> b/../c', b: {}, c: {} },
    ] as TreeDescription[]) {
      const context = makeContext();
      const ensure = ensureIn(context, '/a/d', { kind: 'directory' });
      const { simulation, descriptors, modeOf } = runInRoot(ensure, tree, context, busy);
      t.equal(simulation.failure, undefined, `${busy} times`);
      t.equal(modeOf('/rootfs/c/d'), '40755');
      t.equal(descriptors, 2, 'only the root and the target stay open');
    }
  }
  t.end();
});

t.test('CVE-2024-45310: ensureInRoot() follows symlinks of the image inside the root only', (t) => {
  const inside = runInRoot(ensureIn(makeContext(), '/link/x', { kind: 'directory' }), {
    link: '-> /real',
    real: {},
  });
  t.equal(inside.modeOf('/rootfs/real/x'), '40755');
  t.equal(inside.modeOf('/real'), 'nothing');
  const outside = runInRoot(ensureIn(makeContext(), '/link/x', { kind: 'directory' }), { link: '-> ../../host' });
  t.not(outside.simulation.failure, undefined, 'the link dangles inside the root');
  t.equal(outside.modeOf('/host/x'), 'nothing');
  t.end();
});

t.test('ensureInRoot() makes nothing through a symlink that dangles', (t) => {
  const last = runInRoot(ensureIn(makeContext(), '/link', { kind: 'file' }), { link: '-> /gone' });
  t.not(last.simulation.failure, undefined);
  t.equal(last.modeOf('/rootfs/gone'), 'nothing');
  t.end();
});

t.test('ensureInRoot() makes what is missing where a dangling link is known to lead', (t) => {
  const bundle = { danglingLinks: { '/var/lock': '/run/lock' } };
  const tree = { var: { lock: '-> /run/lock' } };
  const ensure = (mounts: string[], noSymlinks = false) => {
    const config = { mounts: mounts.map((destination) => ({ destination })) };
    const context = makeContext({ bundle, config });
    return runInRoot(ensureIn(context, '/var/lock', { kind: 'directory', noSymlinks }), tree, context);
  };
  for (const mounts of [[], ['/var/lock'], ['/run', '/var/lock'], ['/var/lock', '/var'], ['/va', '/var/lock']]) {
    const { simulation, modeOf } = ensure(mounts);
    t.equal(simulation.failure, undefined, mounts.join());
    t.equal(modeOf('/rootfs/run/lock'), '40755', mounts.join());
  }
  // Below an earlier mount there is something else than what the host saw.
  for (const mounts of [
    ['/var', '/var/lock'],
    ['/run', '/var/', '/var/lock'],
  ])
    t.equal(ensure(mounts).modeOf('/rootfs/run/lock'), 'nothing', mounts.join());
  const refused = ensure(['/var/lock'], true);
  t.equal(refused.simulation.failure?.errno, 40, 'no symlinks where they are refused');
  t.equal(refused.modeOf('/rootfs/run'), 'nothing');
  t.end();
});

t.test('CVE-2019-19921: ensureInRoot() refuses symlinks where it is told to', (t) => {
  for (const path of ['/link', '/link/x']) {
    const { simulation } = runInRoot(ensureIn(makeContext(), path, { kind: 'directory', noSymlinks: true }), {
      link: '-> /real',
      real: { x: {} },
    });
    t.equal(simulation.failure?.errno, 40, path);
  }
  t.end();
});

t.test('statHandle() and its conditions look at one file', (t) => {
  const context = makeContext();
  const target = context.memory.word('target');
  t.equal(
    printSteps([statHandle(context, target, 'look at it')]),
    `
   0  statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at it
`,
  );
  t.match(isDirectory(context), { mask: 0xf000n << 32n, wanted: 0x4000n << 32n, text: 'is a directory' });
  t.match(isDeviceNumber(context, 1, 3), { value: { offset: 128 }, wanted: (3n << 32n) | 1n, text: 'is device 1:3' });
  t.end();
});

t.test('ensureInRoot() follows a dangling link to what is no mount destination, unless any mount covers it', (t) => {
  const made = (...destinations: string[]): string => {
    const config = { mounts: destinations.map((destination) => ({ destination, type: 'tmpfs' })) };
    const context = makeContext({ config, bundle: { danglingLinks: { '/link/cwd': '/real/cwd' } } });
    return printSteps(ensureIn(context, '/link/cwd', { kind: 'directory' }));
  };
  t.match(made(), '"real/cwd"');
  t.match(made('/other'), '"real/cwd"');
  for (const mounts of [['/link'], ['/link', '/other'], ['/other', '/link']])
    t.notMatch(made(...mounts), '"real/cwd"', mounts.join());
  t.end();
});

t.test('ensureInRoot() refuses a file where it makes directories', (t) => {
  const { simulation } = runInRoot(ensureIn(makeContext(), '/a/f', { kind: 'directory' }), { a: { f: '' } });
  t.match(simulation.failure, { errno: ERRNO.ENOTDIR });
  t.end();
});
