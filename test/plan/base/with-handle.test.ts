import t from 'tap';
import { closeHandle, withHandle } from '../../../src/plan/base/with-handle.ts';
import { call } from '../../../src/program/build.ts';
import type { Region, Step } from '../../../src/program/step.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const open = (result: Region): Step[] => [
  call('openat', [-100, `/${result.name}`, 0], { label: `open ${result.name}`, accept: ['ENOENT'], result }),
];
const use = (handle: Region): Step[] => [call('fchdir', [handle], { label: `enter ${handle.name}` })];

t.test('withHandle() opens, uses and closes a handle', (t) => {
  t.equal(
    printSteps(withHandle(makeContext(), { name: 'one', open, closeLabel: 'done' }, use)),
    `
   0  openat(AT_FDCWD, "/one", O_RDONLY) = one, accepts ENOENT  # open one
   1  fchdir(one)  # enter one
   2  close(one), accepts any errno  # done
`,
  );
  t.end();
});

t.test('withHandle() skips the steps and the close where an optional handle was not opened', (t) => {
  t.equal(
    printSteps([
      ...withHandle(makeContext(), { name: 'one', open, optional: true }, use),
      ...withHandle(makeContext(), { name: 'two', open, optional: 'unless it is missing' }, use),
    ]),
    `
   0  openat(AT_FDCWD, "/one", O_RDONLY) = one, accepts ENOENT  # open one
   1  if one < 0 skip 2  # skip 2 when one < 0
   2    fchdir(one)  # enter one
   3    close(one), accepts any errno  # close one
   4  openat(AT_FDCWD, "/two", O_RDONLY) = two, accepts ENOENT  # open two
   5  if two < 0 skip 2  # unless it is missing
   6    fchdir(two)  # enter two
   7    close(two), accepts any errno  # close two
`,
  );
  t.end();
});

t.test('withHandle() gives what is opened in a scope another slot, and what is opened behind it the same', (t) => {
  const context = makeContext();
  const slots: Record<string, number> = {};
  const noted = (handle: Region): Step[] => {
    slots[handle.name] = handle.offset;
    return open(handle);
  };
  const steps = [
    ...withHandle(context, { name: 'outer', open: noted }, (outer) => [
      ...withHandle(context, { name: 'inner', open: noted }, () => use(outer)),
      ...withHandle(context, { name: 'next', open: noted }, use),
    ]),
    // What opens a handle may take others for a while.
    ...withHandle(
      context,
      {
        name: 'behind',
        open: (behind) => [...noted(behind), ...withHandle(context, { name: 'helper', open: noted }, use)],
      },
      use,
    ),
  ];
  t.doesNotThrow(() => printSteps(steps));
  t.equal(slots.outer, slots.behind);
  t.equal(slots.inner, slots.next);
  t.equal(slots.inner, slots.helper);
  t.not(slots.inner, slots.outer);
  t.end();
});

t.test('closeHandle() minds no errno', (t) => {
  const handle = makeContext().memory.word('handle');
  t.same(closeHandle(handle), call('close', [handle], { label: 'close handle', accept: 'any' }));
  t.end();
});
