import fc from 'fast-check';
import t from 'tap';
import { TsrunError } from '../../../src/errors.ts';
import { CALLS, type Arch } from '../../../src/program/calls.ts';
import { decode, type DecodedOperation } from '../../../src/program/model/decode.ts';
import { encode } from '../../../src/program/encode.ts';
import { CHECK_NUMBER, LAYOUT } from '../../../src/program/layout.ts';
import { translateFlags } from '../../../src/program/open-flags.ts';
import type { Operand, Step } from '../../../src/program/step.ts';
import { ERRNO } from '../../../src/util/errno.ts';
import { anySteps } from '../arbitraries.ts';

const RUNS = 300;
const arch = fc.constantFrom<Arch>('x86-64', 'arm64');

t.test('decode() gives back what encode() was given', (t) => {
  fc.assert(
    fc.property(anySteps, arch, (steps, arch) => {
      const packets = encode({ name: 'test', steps, replies: true }, { arch, syncFd: 3 });
      const operations = packets.flatMap(({ bytes, payload }) => (payload ? [] : decode(bytes, arch)));
      if (operations.length !== steps.length) return false;
      return steps.every((step, index) => isSame(step, operations[index], arch));
    }),
    { numRuns: RUNS },
  );
  t.pass(`${RUNS} programs`);
  t.end();
});

/** Compares what does not depend on where the encoder puts data. */
function isSame(step: Step, operation: DecodedOperation | undefined, arch: Arch): boolean {
  if (operation === undefined) return false;
  if (step.kind === 'check') {
    const { condition, then } = step;
    const wanted: readonly Operand[] = [
      condition.mask,
      condition.wanted,
      'skip' in then ? then.skip : -ERRNO[then.fail],
      ...('repeat' in then ? [then.tries, -then.repeat - 1] : [0, 0]),
    ];
    const isCheck = operation.number === CHECK_NUMBER && operation.call === 'check' && operation.result === 0;
    return (
      isCheck &&
      operation.invert === condition.invert &&
      wanted.every((operand, i) => hasOperand(operation, i + 1, operand))
    );
  }
  const kinds = CALLS[step.call].parameters.map(({ kind }) => (typeof kind === 'string' ? kind : 'int'));
  const accept = step.accept === undefined || step.accept === 'any' ? [] : step.accept.map((errno) => ERRNO[errno]);
  return (
    operation.call === step.call &&
    operation.number === CALLS[step.call][arch] &&
    operation.acceptAny === (step.accept === 'any') &&
    operation.accept.join() === accept.join() &&
    (operation.result === 0) === (step.result === undefined) &&
    step.operands.every((operand, index) => {
      const isOpenFlags = arch === 'arm64' && kinds[index] === 'flags:O_';
      const isNumber = typeof operand === 'number' || typeof operand === 'bigint';
      return hasOperand(
        operation,
        index,
        isOpenFlags && isNumber ? translateFlags(BigInt(operand)) : operand,
        kinds[index],
      );
    })
  );
}

function hasOperand(operation: DecodedOperation, index: number, operand: Operand, kind = 'int'): boolean {
  const argument = operation.arguments[index];
  if (argument === undefined) return false;
  if (typeof operand === 'number' || typeof operand === 'bigint')
    return !argument.indirect && argument.value === BigInt.asUintN(64, BigInt(operand));
  if (typeof operand === 'string')
    return (
      !argument.indirect && (kind === 'text' ? argument.text === operand.toWellFormed() : argument.text === undefined)
    );
  return argument.indirect === (operand.kind === 'region' || operand.kind === 'place');
}

t.test('decode() throws nothing but a TsrunError, whatever the bytes are', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), fc.boolean(), arch, (bytes, end, isVersion, arch) => {
      const view = new DataView(bytes.buffer);
      if (bytes.length >= 16 && isVersion) {
        view.setBigUint64(0, BigInt(LAYOUT.message.address + (end % 2 === 0 ? 16 + 64 * (end % 6) : end)), true);
        view.setUint32(8, 1, true);
      }
      try {
        decode(bytes, arch);
      } catch (error) {
        return error instanceof TsrunError && error.code === 'init' && error.message.startsWith('decode packet: ');
      }
      return true;
    }),
    { numRuns: 2000 },
  );
  t.pass('2000 arrays of bytes');
  t.end();
});

t.test('decode() says what is wrong with a packet', (t) => {
  t.throws(() => decode(new Uint8Array(3), 'arm64'), { message: 'decode packet: 3 bytes found, 16 to 61440 wanted' });
  t.throws(() => decode(new Uint8Array(16), 'arm64'), { message: 'decode packet: version 0 found, 1 wanted' });
  const bytes = new Uint8Array(16);
  bytes[8] = 1;
  t.throws(() => decode(bytes, 'arm64'), { message: /^decode packet: the operations end at -?\d+ of 16 bytes$/ });
  t.end();
});
