import fc from 'fast-check';
import { addressOf, at, block } from '../../src/program/build.ts';
import { CALLS, type CallName } from '../../src/program/calls.ts';
import {
  Memory,
  type Block,
  type CheckStep,
  type Condition,
  type Operand,
  type Place,
  type Region,
  type Repetition,
  type Step,
} from '../../src/program/step.ts';
import { ERRNO, type Errno } from '../../src/util/errno.ts';

/** Generators of programs for fast-check. */

const ERRNOS = Object.keys(ERRNO) as Errno[];
const NAMES = Object.keys(CALLS) as CallName[];
const MAX_WORD = (1n << 64n) - 1n;

/** Text without a NUL and without lone surrogates, as paths and names are. */
export const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));

const word = fc.bigInt({ min: -(1n << 63n), max: MAX_WORD });

/** Regions and blocks that the steps of one program share. */
interface Pool {
  readonly regions: readonly Region[];
  readonly blocks: readonly Block[];
}

const pool: fc.Arbitrary<Pool> = fc
  .array(fc.uint8Array({ minLength: 16, maxLength: 64 }), { minLength: 1, maxLength: 4 })
  .map((contents) => {
    const memory = new Memory();
    const regions = [memory.word('a'), memory.word('b'), memory.buffer('c', 64)];
    const blocks: Block[] = [];
    // Each block points to the one before and to a region.
    contents.forEach((bytes, index) => {
      const before = blocks.at(-1);
      const links = [
        { at: 0, to: regions[index % 3] ?? memory.word('d') },
        ...(before === undefined ? [] : [{ at: 8, to: before }]),
      ];
      blocks.push(block(bytes, `{block ${index}}`, links));
    });
    return { regions, blocks };
  });

function place({ regions, blocks }: Pool): fc.Arbitrary<Region | Place> {
  return fc.oneof(
    fc.constantFrom(...regions),
    fc.constantFrom(...blocks).map((of) => at(of, 8)),
    fc.constantFrom(...regions).map((of) => at(of, of.size - 8)),
  );
}

function operand(of: Pool): fc.Arbitrary<Operand> {
  return fc.oneof(
    fc.maxSafeInteger(),
    word,
    text,
    fc.constantFrom(...of.blocks),
    place(of),
    fc.constantFrom(...of.regions, ...of.blocks).map((target) => addressOf(target, 8)),
  );
}

function callStep(of: Pool): fc.Arbitrary<Step> {
  return fc.record(
    {
      kind: fc.constant('call' as const),
      label: fc.string({ minLength: 1, maxLength: 8 }),
      call: fc.constantFrom(...NAMES),
      operands: fc.array(operand(of), { maxLength: 6 }),
      accept: fc.oneof(fc.constant('any' as const), fc.uniqueArray(fc.constantFrom(...ERRNOS), { maxLength: 4 })),
      result: place(of),
    },
    { requiredKeys: ['kind', 'label', 'call', 'operands'] },
  );
}

function condition(of: Pool): fc.Arbitrary<Condition> {
  return fc.record({
    value: place(of),
    mask: word,
    wanted: fc.oneof(word, place(of)),
    invert: fc.boolean(),
    text: fc.constant('condition'),
  });
}

function checkStep(of: Pool): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constant('check' as const),
    label: fc.string({ minLength: 1, maxLength: 8 }),
    condition: condition(of),
    then: fc.oneof(
      fc.record({ skip: fc.nat(5) }),
      fc.record({ fail: fc.constantFrom(...ERRNOS) }),
      repetition(fc.constantFrom(...ERRNOS)),
    ),
  });
}

function repetition(fail: fc.Arbitrary<Errno>): fc.Arbitrary<Repetition> {
  return fc.record({ repeat: fc.integer({ min: 1, max: 5 }), tries: fc.integer({ min: 1, max: 3 }), fail });
}

/** Keeps the spans of checks inside the program. */
export function limitSkips(steps: readonly Step[]): Step[] {
  return steps.map((step, index) =>
    step.kind === 'check' ? { ...step, then: limit(step.then, index, steps.length - index - 1) } : step,
  );
}

function limit(then: CheckStep['then'], before: number, behind: number): CheckStep['then'] {
  if ('skip' in then) return { skip: Math.min(then.skip, behind) };
  if (!('repeat' in then)) return then;
  return before === 0 ? { fail: then.fail } : { ...then, repeat: Math.min(then.repeat, before) };
}

/** Steps with any call and any operands: for the encoder, not to be executed. */
export const anySteps: fc.Arbitrary<Step[]> = pool.chain((of) =>
  fc
    .array(fc.oneof({ weight: 4, arbitrary: callStep(of) }, { weight: 1, arbitrary: checkStep(of) }), { maxLength: 30 })
    .map(limitSkips),
);

/** Errnos that the harmless calls below have. */
const LIKELY_ERRNOS: readonly Errno[] = ['EBADF', 'ENOENT', 'EINVAL', 'ERANGE', 'EFAULT', 'ENOTDIR', 'EPERM'];
const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const O_DIRECTORY = 0o200000;
/** Descriptors that dup3 makes: above those that an open file gets. */
const copyFd = fc.integer({ min: 200, max: 203 });

/**
 * Steps that any process may execute without harm, with results that the model kernel knows: descriptors of /dev/null,
 * umask, getcwd, replies of 8 and 16 bytes, checks, errnos of all kinds.
 */
export function harmlessSteps(syncFd: number): fc.Arbitrary<Step[]> {
  const memory = new Memory();
  const words = [memory.word('a'), memory.word('b'), memory.word('c')];
  const buffer = memory.buffer('d', 32);
  const value = fc.constantFrom<Region | Place>(...words, at(buffer, 0), at(buffer, 16));
  const fd = fc.oneof(fc.constantFrom<Operand>(-1, 199, ...words), copyFd);
  const calls: fc.Arbitrary<readonly [CallName, Operand[]]>[] = [
    fc.constant(['getpid', []]),
    fc.integer({ min: 0o20, max: 0o777 }).map((mask) => ['umask', [mask]]),
    fc.nat(40).map((size) => ['getcwd', [addressOf(buffer), Math.min(size, 32)]]),
    fc.constant(['getcwd', [16, 32]]),
    fd.map((fd) => ['close', [fd]]),
    fc
      .tuple(
        fc.constantFrom('/dev/null', '/dev/none', '/dev/null/x', 'null', '', '/dev/../dev/./null'),
        fc.constantFrom(0, O_DIRECTORY),
      )
      .map(([path, flags]) => ['openat', [AT_FDCWD, path, O_CLOEXEC | flags, 0]]),
    fc.tuple(fd, copyFd, fc.constantFrom(0, O_CLOEXEC, 1)).map(([from, to, flags]) => ['dup3', [from, to, flags]]),
    fc.tuple(fc.constant(syncFd), copyFd).map(([from, to]) => ['dup3', [from, to, O_CLOEXEC]]),
    fc.constant(['fchmod', [-1, 0o600]]),
    value.map((operand) => ['write', [syncFd, operand.kind === 'region' ? addressOf(operand) : addressOf(buffer), 16]]),
    copyFd.map((fd) => ['write', [fd, addressOf(buffer), 8]]),
    fc.constant(['write', [syncFd, 24, 8]]),
  ];
  // The sync pipe and the standard files stay open: a word is closed or copied to only by calls that name it as -1, 199
  // or a copy, or hold a descriptor that an earlier step opened.
  const step = fc
    .tuple(
      fc.oneof(...calls),
      fc.oneof(
        fc.constant('any' as const),
        fc.uniqueArray(fc.constantFrom(...LIKELY_ERRNOS), { minLength: 2, maxLength: 4 }),
      ),
      fc.option(value, { nil: undefined }),
    )
    .map(([[call, operands], accept, result]): Step => {
      return { kind: 'call', label: call, call, operands, accept, ...(result === undefined ? {} : { result }) };
    });
  const smallWord = fc.oneof(fc.bigInt({ min: -14n, max: 8n }), word);
  const check = fc.record({
    kind: fc.constant('check' as const),
    label: fc.constant('check'),
    condition: fc.record({
      value,
      mask: fc.oneof(fc.constantFrom(MAX_WORD, 1n << 63n, 1n), word),
      wanted: fc.oneof(smallWord, value),
      invert: fc.boolean(),
      text: fc.constant('condition'),
    }),
    then: fc.oneof(
      { weight: 9, arbitrary: fc.record({ skip: fc.nat(5) }) },
      fc.record({ fail: fc.constantFrom(...ERRNOS) }),
      { weight: 3, arbitrary: repetition(fc.constantFrom(...ERRNOS)) },
    ),
  });
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: step }, { weight: 1, arbitrary: check }), { maxLength: 25 })
    .map(limitSkips);
}

const RESOLVE_FLAGS = [0, 0x04, 0x08, 0x10, 0x10 | 0x04];
const O_PATH = 0o10000000;
const O_NOFOLLOW = 0o400000;
const S_IFREG = 0o100000;
const AT_REMOVEDIR = 0x200;

/**
 * Steps that make, open and remove files a few levels around the working directory, for the model's tree of files.
 * `root` is a directory handle that they may use; results go to an answer that the last step sends.
 */
export function fileSteps(syncFd: number): fc.Arbitrary<Step[]> {
  const name = fc.constantFrom('a', 'b', 'l', 'm', '.', '..');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  const anyPath = fc.oneof({ weight: 8, arbitrary: path }, fc.constantFrom('', '/a', 'a/', './/b'));
  const flags = fc.constantFrom(0, O_PATH, O_PATH | O_NOFOLLOW, O_NOFOLLOW, O_DIRECTORY, O_PATH | O_DIRECTORY);
  const handle = new Memory().word('handle');
  const fd = fc.constantFrom<Operand>(AT_FDCWD, handle);
  const calls: fc.Arbitrary<readonly [CallName, Operand[]]>[] = [
    path.map((path) => ['mkdirat', [AT_FDCWD, path, 0o755]]),
    path.map((path) => ['mknodat', [AT_FDCWD, path, S_IFREG | 0o644, 0]]),
    fc.tuple(name, fc.constantFrom('l', 'm', 'a/l')).map(([target, path]) => ['symlinkat', [target, AT_FDCWD, path]]),
    fc.tuple(path, fc.constantFrom(0, AT_REMOVEDIR)).map(([path, flag]) => ['unlinkat', [AT_FDCWD, path, flag]]),
    fc.tuple(fd, path, flags).map(([fd, path, flags]) => ['openat', [fd, path, flags | O_CLOEXEC, 0]]),
    fc.tuple(fd, anyPath, flags, fc.constantFrom(...RESOLVE_FLAGS)).map(([fd, path, flags, resolve]) => {
      const how = new BigUint64Array([BigInt(flags | O_CLOEXEC), 0n, BigInt(resolve)]);
      return ['openat2', [fd, path, block(new Uint8Array(how.buffer), '{how}'), 24]];
    }),
    path.map((path) => ['faccessat2', [AT_FDCWD, path, 0, 0]]),
  ];
  const step = fc.oneof(...calls);
  return fc.array(step, { minLength: 2, maxLength: 20 }).map((all) => {
    const answer = block(new Uint8Array(8 * all.length), '{answer}');
    const steps = all.map(([call, operands], index): Step => {
      return { kind: 'call', label: call, call, operands, accept: 'any', result: at(answer, 8 * index) };
    });
    const open: Step = {
      kind: 'call',
      label: 'open',
      call: 'openat',
      operands: [AT_FDCWD, '.', O_PATH, 0],
      result: handle,
    };
    const operands = [syncFd, answer, answer.bytes.length];
    return [open, ...steps, { kind: 'call', label: 'answer', call: 'write', operands }];
  });
}
