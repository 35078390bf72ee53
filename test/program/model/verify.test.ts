import t from 'tap';
import {
  addressOf,
  at,
  block,
  call,
  equals,
  failWhen,
  isNegative,
  isZero,
  repeatWhile,
  unless,
  when,
  wordBlock,
} from '../../../src/program/build.ts';
import type { CallName } from '../../../src/program/calls.ts';
import { LAYOUT } from '../../../src/program/layout.ts';
import {
  Memory,
  type CheckStep,
  type Condition,
  type Operand,
  type Program,
  type Region,
  type Repetition,
  type Step,
} from '../../../src/program/step.ts';
import { assertProgram, knownBehind, verify, type VerifyOptions } from '../../../src/program/model/verify.ts';
import type { Errno } from '../../../src/util/errno.ts';

const memory = new Memory();
const fd = memory.word('fd');
const buffer = memory.buffer('buffer', 64);
const label = { label: 'test' };
const unknownErrno = 'EX' as Errno;
const answer = call('write', [3, wordBlock([16], 'tag 16'), 8], { label: 'answer' });

function flawsOf(steps: readonly Step[], options?: VerifyOptions): readonly string[] {
  return verify({ name: 'test', steps, replies: false }, options);
}

function flawsOfCall(name: CallName, operands: readonly Operand[]): readonly string[] {
  return flawsOf([call(name, operands, label)]);
}

function flawsOfCheck(condition: Partial<Condition>, then: CheckStep['then'] = { skip: 0 }): readonly string[] {
  return flawsOf([{ kind: 'check', condition: { ...isZero(fd), ...condition }, then, label: 'test' }]);
}

t.test('verify() has nothing to say about a sound program', (t) => {
  const steps = [
    call('openat', [-100, '/', 0], { ...label, result: fd, accept: ['ENOENT', 'EPERM', 'EIO', 'ELOOP'] }),
    call('getcwd', [addressOf(buffer), 64], label),
    ...unless(equals(at(buffer, 56), fd), [call('prctl', [15, 'name'], label)]),
    call('mount', [0, '/', 0, 0, 0], label),
    call('write', [3, wordBlock([16, buffer], '{}'), 16], label),
  ];
  t.same(verify({ name: 'test', steps, replies: true }, { known: new Map() }), []);
  t.doesNotThrow(() => {
    assertProgram({ name: 'test', steps, replies: true });
  });
  t.end();
});

t.test('verify() checks calls and their operands', (t) => {
  t.same(flawsOf([call(('openat' + 'x') as CallName, [], label)]), ['step 0 (test): the call "openatx" is unknown']);
  t.same(flawsOf([call('getpid', [], { label: '' })]), ['step 0 (): it has no label']);
  t.same(flawsOfCall('close', []), ['step 0 (test): close has 0 operands, at least 1 wanted']);
  t.same(flawsOfCall('openat', [3, 'x']), ['step 0 (test): openat has 2 operands, at least 3 wanted']);
  t.same(flawsOfCall('close', [1, 2]), ['step 0 (test): close has 2 operands, at most 1 wanted']);
  t.same(flawsOfCall('mmap', [0, 0, 0, 0, 0, 0, 0]), [
    'step 0 (test): mmap has 7 operands, at most 6 wanted',
    'step 0 (test): 7 operands do not fit into an operation, at most 6 do',
  ]);
  t.same(flawsOfCall('close', [0.5]), ['step 0 (test): the number 0.5 is not an integer of 64 bits']);
  t.same(flawsOfCall('close', [1n << 64n]), [
    'step 0 (test): the number 18446744073709551616 is not an integer of 64 bits',
  ]);
  t.same(flawsOfCall('close', ['x']), ['step 0 (test): the address of "x" is passed as a descriptor']);
  t.same(flawsOfCall('close', [addressOf(fd)]), ['step 0 (test): the address of fd is passed as a descriptor']);
  t.same(flawsOfCall('close', [wordBlock([1], '{x}')]), [
    'step 0 (test): the address of {x} is passed as a descriptor',
  ]);
  t.same(flawsOfCall('chdir', ['a\0']), ['step 0 (test): the text "a\\u0000" has a NUL']);
  t.same(flawsOfCall('chdir', [5]), ['step 0 (test): the number 5 is passed as text']);
  t.same(flawsOfCall('chdir', [fd]), ['step 0 (test): the value of fd is passed as text']);
  t.end();
});

t.test('verify() checks accepted errnos', (t) => {
  const accept: Errno[] = ['EPERM', 'ENOENT', 'EIO', 'EINTR', 'EBADF'];
  t.same(flawsOf([call('getpid', [], { ...label, accept })]), ['step 0 (test): it accepts 5 errnos, at most 4 fit']);
  t.same(flawsOf([call('getpid', [], { ...label, accept: [unknownErrno] })]), [
    'step 0 (test): the errno "EX" is unknown',
  ]);
  t.end();
});

t.test('verify() checks places, addresses, regions and links', (t) => {
  const region = (changes: Partial<Region>): Region => ({ kind: 'region', name: 'r', offset: 64, size: 8, ...changes });
  const pair = wordBlock([1, 2], '{pair}');
  t.same(flawsOfCall('close', [at(buffer, 60)]), ['step 0 (test): the 8 bytes of buffer+60 are outside its 64 bytes']);
  t.same(flawsOfCall('close', [at(pair, -4)]), ['step 0 (test): the 8 bytes of {pair}+-4 are outside its 16 bytes']);
  t.same(flawsOfCall('close', [at(pair, 2)]), ['step 0 (test): {pair}+2 is not aligned to 4 bytes']);
  t.same(flawsOf([call('getpid', [], { ...label, result: at(pair, 12) })]), [
    'step 0 (test): the 8 bytes of {pair}+12 are outside its 16 bytes',
  ]);
  t.same(flawsOfCall('getcwd', [addressOf(pair, 16), 8]), [
    'step 0 (test): the address {pair}+16 is outside its 16 bytes',
  ]);
  t.same(flawsOfCall('close', [region({ offset: 60 })]), ['step 0 (test): r is not aligned to 8 bytes']);
  t.same(flawsOfCall('close', [region({ offset: 24 })]), ['step 0 (test): r is inside the failure report']);
  for (const offset of [-1, 0.5, 8])
    t.same(flawsOfCall('getcwd', [{ kind: 'address', of: region({}), offset }, 8]), [
      `step 0 (test): the address r+${offset} is outside its 8 bytes`,
    ]);
  const outside = ["step 0 (test): r is outside init's memory"];
  t.same(flawsOfCall('close', [region({ offset: LAYOUT.memory.size })]), outside);
  t.same(flawsOfCall('close', [region({ size: 0 })]), outside);
  const inner = block(new Uint8Array(8), '{inner}', [{ at: 8, to: fd }]);
  const outer = block(new Uint8Array(16), '{outer}', [
    { at: 0, to: inner },
    { at: 8, to: region({ offset: 16 }) },
  ]);
  t.same(flawsOfCall('write', [3, outer, 8]), [
    'step 0 (test): a link at 8 is outside {inner}',
    'step 0 (test): r is inside the failure report',
  ]);
  t.end();
});

t.test('verify() checks conditions and spans', (t) => {
  t.same(flawsOfCheck({}, { skip: 1 }), ['step 0 (test): it skips 1 steps, 0 follow']);
  t.same(flawsOfCheck({}, { skip: -1 }), ['step 0 (test): it skips -1 steps']);
  t.same(flawsOfCheck({}, { fail: unknownErrno }), ['step 0 (test): the errno "EX" is unknown']);
  t.same(flawsOfCheck({ mask: 4n, wanted: 5n }), [
    'step 0 (test): the condition "fd == 0" wants bits outside its mask',
  ]);
  t.same(flawsOfCheck({ mask: 1n << 64n }), [
    'step 0 (test): the number 18446744073709551616 is not an integer of 64 bits',
  ]);
  t.same(flawsOfCheck({ value: at(fd, 8) }), ['step 0 (test): the 8 bytes of fd+8 are outside its 8 bytes']);
  t.same(flawsOfCheck({ wanted: at(fd, 8) }), ['step 0 (test): the 8 bytes of fd+8 are outside its 8 bytes']);
  t.end();
});

t.test('verify() wants a bound and harmless steps of a repetition', (t) => {
  const close = call('close', [fd], { label: 'close' });
  const flawsOfLoop = (then: Partial<Repetition>, ...steps: Step[]): readonly string[] =>
    flawsOf(
      [...steps, ...repeatWhile(isZero(fd), [], { tries: 64, fail: 'EAGAIN', ...label })].map((step) =>
        step.kind === 'check' ? { ...step, then: { repeat: 1, tries: 64, fail: 'EAGAIN', ...then } } : step,
      ),
    );
  t.same(flawsOfLoop({}, close), []);
  t.same(flawsOfLoop({ tries: 1000, repeat: 2 }, close, close), []);
  for (const tries of [0, -1, 0.5, 1001, Infinity])
    t.same(flawsOfLoop({ tries }, close), [`step 1 (test): it has ${tries} tries, 1 to 1000 wanted`]);
  for (const repeat of [0, -1, 0.5])
    t.same(flawsOfLoop({ repeat }, close), [`step 1 (test): it repeats ${repeat} steps`]);
  t.same(flawsOfLoop({ repeat: 2 }, close), ['step 1 (test): it repeats 2 steps, 1 come before']);
  t.same(flawsOfLoop({ fail: unknownErrno }, close), ['step 1 (test): the errno "EX" is unknown']);
  t.same(flawsOfLoop({}, answer), ['step 1 (test): it repeats write (answer)'], 'there would be two answers');
  t.same(flawsOfLoop({}, answer, close), [], 'what is in front of the loop happens once');
  t.match(flawsOfLoop({}, call('clone3', [wordBlock([0], '{}'), 64], label)), [/repeats clone3/]);
  t.end();
});

t.test('verify() finds words that nothing has written', (t) => {
  const known = new Map<Region, 'value'>();
  const use = call('close', [fd], { label: 'close' });
  t.same(flawsOf([use]), [], 'without `known` nobody can tell');
  t.same(flawsOf([use], { known }), ['step 0 (close): fd is read before anything has written it']);
  t.same(flawsOf([failWhen(equals(at(buffer, 8), fd), 'EIO', label)], { known }), [
    'step 0 (test): buffer is read before anything has written it',
    'step 0 (test): fd is read before anything has written it',
  ]);
  t.same(flawsOf([use], { known: new Map([[fd, 'value']]) }), []);
  t.same(flawsOf([call('getpid', [], { ...label, result: fd }), use], { known }), []);
  t.same(flawsOf([call('getpid', [], { ...label, result: at(fd, 0) }), use], { known }), []);
  t.same(
    flawsOf([call('read', [0, addressOf(fd), 8], label), use], { known }),
    [],
    'the kernel may write through an address',
  );
  t.same(flawsOf([call('clone3', [wordBlock([fd], '{}'), 8], label), use], { known }), []);
  t.same(flawsOf([call('read', [0, at(wordBlock([fd], '{}'), 0), 8], label), use], { known }), []);
  t.equal(known.size, 0);
  t.end();
});

t.test('verify() finds regions of two allocators', (t) => {
  const other = new Memory();
  const steps = [call('close', [fd], label), call('close', [other.word('fd')], label)];
  t.same(flawsOf(steps), ['fd and fd overlap', 'two regions have the name "fd"']);
  t.end();
});

/** What opens `to`, uses it, closes it, and what may be refused. */
const path = '/x';
const open = (to: Region, accept: Errno[] = []) =>
  call('openat', [-100, path, 0], { label: `open ${to.name}`, result: to, accept });
const use = (of: Region) => call('fchdir', [of], { label: `use ${of.name}` });
const close = (of: Region) => call('close', [of], { label: `close ${of.name}`, accept: 'any' });
const choice = memory.word('choice');
const other = memory.word('other');

t.test('verify() finds uses of a handle that is closed on some way', (t) => {
  t.same(flawsOf([open(fd), use(fd), close(fd)]), []);
  t.same(flawsOf([open(fd), close(fd), use(fd)]), ['step 2 (use fd): uses fd, which is closed']);
  t.same(flawsOf([open(fd), close(fd), close(fd)]), ['step 2 (close fd): uses fd, which is closed']);
  t.same(flawsOf([open(fd), close(fd), call('mount_setattr', [fd, '', 0, wordBlock([1], '{}'), 8], label)]), [
    'step 2 (test): uses fd, which is closed',
  ]);
  t.same(flawsOf([open(fd), close(fd), open(fd), use(fd), close(fd)]), [], 'it is another one');
  t.same(flawsOf([open(fd), close(fd), ...when(isNegative(fd), [use(fd)])]), [], 'its number may still be looked at');
  t.same(
    flawsOf([open(fd), ...when(isZero(choice), [close(fd)]), use(fd)]),
    ['step 3 (use fd): uses fd, which is closed'],
    'on the way that skips nothing',
  );
  t.same(
    flawsOf([open(fd), ...when(isZero(choice), [close(fd)]), ...unless(isZero(choice), [use(fd), close(fd)])]),
    [],
    'both checks find the same',
  );
  t.same(
    flawsOf([
      open(fd),
      ...when(isZero(choice), [close(fd)]),
      call('getpid', [], { ...label, result: choice }),
      ...unless(isZero(choice), [use(fd)]),
    ]),
    ['step 5 (use fd): uses fd, which is closed'],
    'the second looks at something else',
  );
  t.same(flawsOf([open(fd, ['ENOENT']), close(fd), ...when(isNegative(fd), [use(fd)])]), [], 'there was none');
  t.same(flawsOf(repeatWhile(isZero(choice), [open(fd), use(fd), close(fd)], { tries: 2, fail: 'EIO', ...label })), []);
  t.same(
    flawsOf([open(fd), ...repeatWhile(isZero(choice), [close(fd)], { tries: 2, fail: 'EIO', ...label })]),
    ['step 1 (close fd): uses fd, which is closed'],
    'when it is repeated',
  );
  t.end();
});

t.test('verify() finds what overwrites a handle that is open', (t) => {
  const flaw = (index: number, step: string) => [`step ${index} (${step}): overwrites fd while it is open`];
  t.same(flawsOf([open(fd), open(fd)]), flaw(1, 'open fd'));
  t.same(flawsOf([open(fd), call('getpid', [], { ...label, result: fd })]), flaw(1, 'test'));
  t.same(flawsOf([open(fd), call('getpid', [], { ...label, result: at(fd, 0) })]), flaw(1, 'test'));
  t.same(flawsOf([open(fd), call('read', [0, addressOf(fd), 8], label)]), flaw(1, 'test'));
  t.same(flawsOf([open(fd), call('write', [0, addressOf(fd), 8], label)]), [], 'the kernel reads');
  t.same(flawsOf([open(fd, ['ENOENT']), ...when(isNegative(fd), [open(fd)])]), [], 'there was none');
  t.same(flawsOf([open(fd, ['ENOENT']), ...unless(isNegative(fd), [open(fd)])]), flaw(2, 'open fd'));
  t.same(flawsOf([open(fd, ['ENOENT']), open(fd)]), flaw(1, 'open fd'), 'on the way where it was opened');
  t.same(flawsOf([open(fd, ['EAGAIN']), ...when(equals(fd, -11n), [open(fd)])]), []);
  t.same(
    flawsOf(repeatWhile(equals(fd, -11n), [open(fd, ['EAGAIN'])], { tries: 2, fail: 'EAGAIN', ...label })),
    [],
    'only what was refused is repeated',
  );
  t.same(flawsOf(repeatWhile(isZero(choice), [open(fd)], { tries: 2, fail: 'EIO', ...label })), flaw(0, 'open fd'));
  t.same(flawsOf([open(fd), call('close_range', [3, 9, 0], label), open(fd)]), [], 'it may be among those');
  t.same(flawsOf([open(fd), ...when(isZero(fd), [open(fd)])]), [], 'no handle is 0');
  t.end();
});

t.test('verify() knows which calls make descriptors', (t) => {
  const flaw = [`step 1 (open fd): overwrites fd while it is open`];
  const made = (name: CallName, operands: readonly Operand[]) =>
    flawsOf([call(name, operands, { ...label, result: fd }), open(fd)]);
  t.same(made('fcntl', [1, 1030, 0]), flaw, 'F_DUPFD_CLOEXEC');
  t.same(made('fcntl', [1, 2, 1]), [], 'F_SETFD');
  t.same(made('ioctl', [1, 0x5441, 0]), flaw, 'TIOCGPTPEER');
  t.same(made('ioctl', [1, 0x5414, wordBlock([0], '{}')]), [], 'TIOCSWINSZ');
  t.same(made('seccomp', [1, 8, wordBlock([0], '{}')]), flaw, 'a listener');
  t.same(made('seccomp', [1, 0, wordBlock([0], '{}')]), []);
  t.same(made('getpid', []), []);
  const clone = (flags: number) => flawsOf([call('clone', [flags | 17, 0, addressOf(fd), 0, 0], label), open(fd)]);
  t.same(clone(0x1000), flaw, 'CLONE_PIDFD');
  t.same(clone(0), []);
  const ends = block(new Uint8Array(16), 'ends');
  const pipe = call('pipe2', [addressOf(ends, 4), 0], label);
  t.same(flawsOf([pipe, open(fd), call('close', [at(ends, 4)], label), call('close', [at(ends, 8)], label)]), []);
  t.same(flawsOf([pipe, call('getpid', [], { ...label, result: at(ends, 8) })]), [
    'step 1 (test): overwrites ends+8 while it is open',
  ]);
  t.end();
});

t.test('verify() wants the handles of the stack closed at the end', (t) => {
  const left = (name: string, index = 0) => [`step ${index} (open ${name}): leaves ${name} open`];
  const onStack = (plan: (slot: Region) => Step[]) => new Memory().withSlot('slot', (slot) => flawsOf(plan(slot)));
  t.same(
    onStack((slot) => [open(slot), use(slot), close(slot)]),
    [],
  );
  t.same(
    onStack((slot) => [open(slot), use(slot)]),
    left('slot'),
  );
  t.same(flawsOf([open(fd)]), [], 'another program may close what is not of the stack');
  t.same(
    onStack((slot) => [open(slot, ['ENOENT']), ...unless(isNegative(slot), [use(slot), close(slot)])]),
    [],
  );
  t.same(
    onStack((slot) => [open(slot), ...when(isZero(choice), [close(slot)])]),
    left('slot'),
    'a skip jumps over it',
  );
  t.same(
    onStack((slot) => [open(slot), ...when(isZero(choice), [close(slot)]), ...unless(isZero(choice), [close(slot)])]),
    [],
  );
  t.same(
    onStack((slot) => [open(slot), call('execve', ['/bin/sh', 0, 0], label)]),
    [],
    'close-on-exec',
  );
  t.same(
    onStack((slot) => [open(slot), ...when(isZero(choice), [call('exit_group', [0], label)]), close(slot)]),
    [],
  );
  const stack = new Memory();
  const first = stack.withSlot('first', (slot) => [open(slot), close(slot)]);
  const unclosed = stack.withSlot('first', (slot) => [open(slot)]);
  const second = stack.withSlot('second', (slot) => [open(slot), close(slot)]);
  t.same(flawsOf([...first, ...second, ...first]), [], 'one slot has many names');
  t.same(flawsOf([...unclosed, ...second]), ['step 1 (open second): overwrites first while it is open']);
  t.same(
    stack.withSlot('outer', (outer) =>
      stack.withSlot('inner', (inner) => flawsOf([open(outer), open(inner), use(outer), close(inner), close(outer)])),
    ),
    [],
  );
  t.end();
});

t.test('knownBehind() passes on what is open and what is closed to the next program', (t) => {
  const programOf = (...steps: Step[]): Program => ({ name: 'test', steps, replies: false });
  const slot = new Memory().withSlot('slot', (region) => region);
  const opened = knownBehind(programOf(open(fd), open(other, ['ENOENT']), open(slot), close(slot)), new Map());
  t.strictSame(
    [...opened].map(([{ name }, holding]) => [name, holding]),
    [
      ['fd', 'open'],
      ['other', 'value'],
    ],
  );
  t.same(flawsOf([use(fd), close(fd)], { known: opened }), []);
  t.same(flawsOf([open(fd)], { known: opened }), ['step 0 (open fd): overwrites fd while it is open']);
  const closed = knownBehind(programOf(close(fd)), opened);
  t.equal(closed.get(fd), 'closed');
  t.same(flawsOf([use(fd)], { known: closed }), ['step 0 (use fd): uses fd, which is closed']);
  t.equal(knownBehind(programOf(), closed).get(fd), 'closed');
  t.equal(knownBehind(programOf(...when(isZero(choice), [close(fd)])), opened).get(fd), 'value');
  t.end();
});

t.test('verify() follows a program of many choices, of which it then knows less', (t) => {
  const flags = memory.word('flags');
  const steps = Array.from({ length: 40 }, (_, bit) =>
    when(equals(flags, 1n << BigInt(bit), { mask: 1n << BigInt(bit) }), [call('getpid', [], label)]),
  ).flat();
  t.same(flawsOf([open(fd), ...steps, ...steps, close(fd), use(fd)]), ['step 162 (use fd): uses fd, which is closed']);
  t.end();
});

t.test('verify() wants exactly one answer of a program that replies', (t) => {
  const repliesOf = (...steps: Step[]): readonly string[] => verify({ name: 'test', steps, replies: true });
  t.same(repliesOf(answer), []);
  t.same(repliesOf(answer, call('exit_group', [0], label)), []);
  t.same(repliesOf(answer, call('close', [5], { ...label, accept: 'any' })), []);
  t.same(repliesOf(call('execve', ['/bin/sh', 0, 0], label)), []);
  t.same(repliesOf(call('getpid', [], label)), ['the program replies, but no step sends an answer']);
  t.same(repliesOf(answer, call('getpid', [], label)), [
    'the program replies, but its last step (test) comes after the answer',
  ]);
  t.same(repliesOf(), ['the program replies, but no step sends an answer']);
  t.end();
});

t.test('assertProgram() throws all flaws at once', (t) => {
  const steps = [call('close', [], label), call('chdir', [5], label)];
  t.throws(
    () => {
      assertProgram({ name: 'test', steps, replies: false });
    },
    {
      message:
        'bug: program "test": step 0 (test): close has 0 operands, at least 1 wanted; step 1 (test): the number 5 is passed as text',
    },
  );
  t.end();
});
