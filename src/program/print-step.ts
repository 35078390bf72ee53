import { describePlace } from './build.ts';
import { CALLS, type ArgumentKind, type Parameter } from './calls.ts';
import { printNumber } from './constant-names.ts';
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
  const { parameters } = CALLS[step.call];
  const shown: string[] = [];
  for (const [index, operand] of step.operands.entries())
    shown.push(printOperand(operand, kindOf(parameters[index], shown)));
  return shown;
}

/** What an argument is, given how those before it print. */
function kindOf(parameter: Parameter | undefined, before: readonly string[]): ArgumentKind {
  const kind = parameter?.kind ?? 'int';
  if (typeof kind === 'string') return kind;
  const name = before.find((text) => Object.hasOwn(kind, text));
  return (name === undefined ? kind.else : kind[name]) ?? 'int';
}

function printOperand(operand: Operand, kind: ArgumentKind): string {
  if (typeof operand === 'string') return JSON.stringify(operand);
  if (typeof operand === 'number' || typeof operand === 'bigint') return printNumber(BigInt(operand), kind);
  if (operand.kind === 'block') return operand.text;
  if (operand.kind === 'address') return `&${describePlace({ ...operand, kind: 'place' })}`;
  return describePlace(operand);
}
