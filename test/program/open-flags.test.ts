import fc from 'fast-check';
import t from 'tap';
import { call, wordBlock } from '../../src/program/build.ts';
import { restoreFlags, translateFlags, translateSteps } from '../../src/program/open-flags.ts';
import { Memory } from '../../src/program/step.ts';

const label = { label: 'test' };

t.test('translateFlags() renumbers O_DIRECT, O_LARGEFILE, O_DIRECTORY and O_NOFOLLOW only', (t) => {
  t.same([0o40000n, 0o100000n, 0o200000n, 0o400000n].map(translateFlags), [0o200000n, 0o400000n, 0o40000n, 0o100000n]);
  t.equal(translateFlags(0o12000102n), 0o12000102n);
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      (flags) => restoreFlags(translateFlags(flags)) === flags,
    ),
  );
  t.end();
});

t.test('translateSteps() leaves x86-64, other calls and values of words as they are', (t) => {
  const word = new Memory().word('flags');
  const steps = [
    call('openat', [-100, '/', 0o200000, 0], label),
    call('openat', [-100, '/', word, 0o200000], label),
    call('openat2', [-100, '/', word, 24], label),
    call('mkdirat', [-100, '/', 0o200000], label),
  ];
  t.equal(translateSteps(steps, 'x86-64'), steps);
  const [first, ...rest] = translateSteps(steps, 'arm64');
  t.same(first, call('openat', [-100, '/', 0o40000n, 0], label));
  t.same(rest, steps.slice(1));
  t.end();
});

t.test('translateSteps() does not change the plan', (t) => {
  const how = wordBlock([0o200000, 0, 0], 'how');
  const before = how.bytes.slice();
  translateSteps([call('openat2', [-100, '/', how, 24], label)], 'arm64');
  t.same(how.bytes, before);
  t.end();
});
