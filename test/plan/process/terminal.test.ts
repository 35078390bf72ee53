import t from 'tap';
import { planTerminal } from '../../../src/plan/process/terminal.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

const process = makeProcess({ terminal: true });

t.test('planTerminal() is empty without a terminal', (t) => {
  t.same(planTerminal(makeContext(), makeProcess(), { console: true }), []);
  const sized = makeProcess({ terminal: false, consoleSize: { height: 24, width: 80 } });
  t.same(planTerminal(makeContext(), sized, { console: true }), []);
  t.end();
});

t.test('CVE-2025-52565: planTerminal() takes the terminal from a verified devpts and binds its handle', (t) => {
  t.equal(
    printSteps(planTerminal(makeContext(), process, { console: true })),
    `
   0  openat2(root, "dev/pts", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target  # open /dev/pts  (/process/terminal)
   1  fstatfs(target, &stat)  # look at /dev/pts  (/process/terminal)
   2  if not (/dev/pts is a devpts) fail ENODEV  # open a terminal: /dev/pts is no devpts  (/process/terminal)
   3  openat(target, "ptmx", O_CLOEXEC|O_NOCTTY|O_NOFOLLOW|O_RDWR, 0) = master  # open /dev/pts/ptmx  (/process/terminal)
   4  close(target), accepts any errno  # close target
   5  statx(master, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at /dev/pts/ptmx
   6  if not (is a character device) fail ENODEV  # open a terminal: /dev/pts/ptmx is no terminal multiplexer  (/process/terminal)
   7  if not (is device 5:2) fail ENODEV  # open a terminal: /dev/pts/ptmx is no terminal multiplexer  (/process/terminal)
   8  ioctl(master, TIOCSPTLCK, {0})  # unlock the terminal  (/process/terminal)
   9  ioctl(master, TIOCGPTPEER, O_CLOEXEC|O_NOCTTY|O_RDWR) = terminal  # open the terminal  (/process/terminal)
  10  open_tree(terminal, "", AT_EMPTY_PATH|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # mount the terminal on /dev/console
  11  openat2(root, "dev/console", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target, accepts ENOENT  # open "/dev/console"  (/process/terminal)
  12  if not (target < 0) skip 7  # make "/dev/console" unless it is there
  13    openat2(root, "dev", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = parent, accepts ENOENT  # open "/dev"  (/process/terminal)
  14    if not (parent < 0) skip 2  # skip 2 when not (parent < 0)
  15      mkdirat(root, "dev", 0755), accepts EEXIST  # create directory "/dev"  (/process/terminal)
  16      openat2(root, "dev", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = parent  # open "/dev"  (/process/terminal)
  17    mknodat(parent, "console", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/console"  (/process/terminal)
  18    openat2(root, "dev/console", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target  # open "/dev/console"  (/process/terminal)
  19    close(parent), accepts any errno  # close parent
  20  move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mount the terminal on /dev/console
  21  close(target), accepts any errno  # close target
  22  close(tree), accepts any errno  # close tree
  23  dup3(terminal, 0, 0)  # make the terminal descriptor 0  (/process/terminal)
  24  dup3(terminal, 1, 0)  # make the terminal descriptor 1  (/process/terminal)
  25  dup3(terminal, 2, 0)  # make the terminal descriptor 2  (/process/terminal)
  26  ioctl(0, TIOCSCTTY, NULL)  # make the terminal the controlling one  (/process/terminal)
  27  close(terminal), accepts any errno  # close terminal
  28  dup3(master, 5, O_CLOEXEC)  # number master 5
  29  sendmsg(3, {tag 20, {SCM_RIGHTS, [5]}}, 0)  # hand over the console
  30  close(master), accepts any errno  # close master
`,
  );
  t.end();
});

t.test('planTerminal() of exec leaves /dev/console alone', (t) => {
  const labels = planTerminal(makeContext(), process, { console: false }).map(({ label }) => label);
  t.notOk(labels.some((label) => label.includes('/dev/console')));
  t.ok(labels.includes('make the terminal the controlling one'));
  t.end();
});

t.test('planTerminal() sets the size before anybody sees the terminal, when there is one', (t) => {
  const sizes = (consoleSize?: { height: number; width: number }) =>
    planTerminal(
      makeContext(),
      makeProcess({ terminal: true, ...(consoleSize === undefined ? {} : { consoleSize }) }),
      {
        console: false,
      },
    ).flatMap((step) => {
      const block = step.kind === 'call' && step.pointer === '/process/consoleSize' ? step.operands[2] : undefined;
      return typeof block === 'object' && block.kind === 'block'
        ? [...new Uint16Array(block.bytes.slice().buffer)]
        : [];
    });
  t.same(sizes({ height: 24, width: 80 }), [24, 80, 0, 0]);
  t.same(sizes({ height: 100000, width: 65535 }), [65535, 65535, 0, 0]);
  t.same(sizes({ height: 0, width: 80 }), []);
  t.same(sizes(), []);
  t.end();
});
