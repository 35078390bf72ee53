import { TsrunError } from '../errors.ts';
import type { Program } from '../program/step.ts';
import { errnoName, errnoText } from '../util/errno.ts';

/**
 * What a failed step means to a person: its label, or its own failure text, and the errno; where the configuration asked for
 * it, the JSON pointer.
 */
export function stepFailure(program: Program, index: number, result: number): TsrunError {
  const step = program.steps[index];
  const errno = errnoName(-result);
  if (step === undefined)
    return TsrunError.of('init', `${program.name}: init reports a step ${index} that was not sent`, errno);
  const text = errnoText(errno);
  const message = step.failure?.replaceAll('{errno}', text) ?? `${step.label}: ${text}`;
  return new TsrunError(step.code ?? 'step', message, {
    pointer: step.pointer,
    step: {
      index,
      label: step.label,
      call: step.kind === 'check' ? 'check' : step.call,
      errno,
      ...(step.pointer === undefined ? {} : { pointer: step.pointer }),
    },
  });
}
