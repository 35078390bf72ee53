import { AT_FDCWD } from '../util/constants.ts';
import { describePlace } from './build.ts';
import { CALLS, type CallName, type ParameterKind } from './calls.ts';
import { constantName, flagNames } from './constant-names.ts';
import type { CallStep, CheckStep, Operand, Step } from './step.ts';

/** One step without its label, much as strace shows it: `openat(AT_FDCWD, "/x", O_PATH, 0) = root, accepts ENOENT`. */
export function printStep(step: Step): string {
  return step.kind === 'call' ? printCall(step) : printCheck(step);
}

function printCall(step: CallStep): string {
  const result = step.result === undefined ? '' : ` = ${describePlace(step.result)}`;
  const accept = printAccept(step.accept);
  return `${step.call}(${printOperands(step).join(', ')})${result}${accept === '' ? '' : `, accepts ${accept}`}`;
}

function printAccept(accept: CallStep['accept']): string {
  if (accept === undefined) return '';
  return accept === 'any' ? 'any errno' : accept.join(' ');
}

function printCheck({ condition, then }: CheckStep): string {
  return `if ${condition.text} ${printConsequence(then)}`;
}

function printConsequence(then: CheckStep['then']): string {
  if ('skip' in then) return `skip ${then.skip}`;
  const fail = `fail ${then.fail}`;
  return 'repeat' in then ? `repeat ${then.repeat} up to ${then.tries} times, then ${fail}` : fail;
}

/** The operands of a call in words: constants by name, modes octal, NULL for pointers that are 0. */
export function printOperands(step: CallStep): string[] {
  const kinds: readonly ParameterKind[] = CALLS[step.call].parameters;
  return step.operands.map((operand, index) => printOperand(operand, kinds[index] ?? 'int', step.call));
}

function printOperand(operand: Operand, kind: ParameterKind, call: CallName): string {
  if (typeof operand === 'string') return JSON.stringify(operand);
  if (typeof operand === 'number' || typeof operand === 'bigint') return printNumber(BigInt(operand), kind, call);
  if (operand.kind === 'block') return operand.text;
  if (operand.kind === 'address') return `&${describePlace({ ...operand, kind: 'place' })}`;
  return describePlace(operand);
}

function printNumber(value: bigint, kind: ParameterKind, call: CallName): string {
  switch (kind) {
    case 'int':
    case 'signal':
      return printInteger(value);
    case 'fd':
      return value === BigInt(AT_FDCWD) ? 'AT_FDCWD' : `${value}`;
    case 'octal':
      return value === 0n ? '0' : `0${value.toString(8)}`;
    case 'text':
    case 'pointer':
      return value === 0n ? 'NULL' : `0x${value.toString(16)}`;
    case 'name:PR_':
    case 'name:FSCONFIG_':
    case 'name:IOCTL':
      return constantName(value, kind);
    default:
      return flagNames(value, kind, call);
  }
}

/** Decimal, except for numbers so large that they can only be bits. */
function printInteger(value: bigint): string {
  return value >= 1n << 32n ? `0x${value.toString(16)}` : `${value}`;
}
