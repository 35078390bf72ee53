import { TsrunError, type ErrorCode } from '../errors.ts';
import type { Program, Step } from '../program/step.ts';
import { errnoName } from '../util/errno.ts';
import { words } from '../util/words.ts';

/**
 * What a failed step means to a person: its label, or its own failure text, and the errno; where the configuration asked for
 * it, the JSON pointer.
 */
export function stepFailure(program: Program, index: number, result: number): TsrunError {
  const step = program.steps[index];
  const errno = errnoName(-result);
  if (step === undefined)
    return new TsrunError('init', `${program.name}: init reports a step ${index} that was not sent: ${errno}`);
  const text = ERROR_TEXT[errno] ?? errno;
  const message = step.failure?.replaceAll('{errno}', errno).replaceAll('{error}', text) ?? `${step.label}: ${errno}`;
  const where = step.pointer === undefined ? '' : ` (${step.pointer} of config.json)`;
  return new TsrunError(codeOf(step), `${message}${where}`, {
    step: {
      index,
      label: step.label,
      call: step.kind === 'check' ? 'check' : step.call,
      errno,
      ...(step.pointer === undefined ? {} : { pointer: step.pointer }),
    },
  });
}

/** The C library's words, which dockerd, podman and containerd look for in the messages about a program. */
const ERROR_TEXT: Readonly<Record<string, string>> = {
  ENOENT: words.ENOENT,
  EACCES: words.EACCES,
  ESRCH: words.noSuchProcess,
  EPERM: words.EPERM,
  ENOTDIR: words.ENOTDIR,
  EISDIR: words.EISDIR,
  ENOEXEC: 'exec format error',
  E2BIG: 'argument list too long',
  ELOOP: 'too many levels of symbolic links',
  ETXTBSY: 'text file busy',
};

/** Steps that look for the program or its directory fail because of the bundle, not because of the host. */
function codeOf(step: Step): ErrorCode {
  return step.label.startsWith('exec: ') ? 'program' : 'step';
}
