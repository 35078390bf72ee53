import { TsrunError } from '../errors.ts';
import { stepOfFailure } from '../program/encode.ts';
import { OFFSETS, REPLY_SIZE, TAG_FAILURE } from '../program/layout.ts';
import type { Packet, Program } from '../program/step.ts';
import { remedies } from '../util/remedies.ts';
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
    // The program itself was looked at before, with the rights that it has.
    ...(step.purpose === 'execute program' && errno === 'EACCES' && { hint: remedies.executeInterpreter }),
    step: {
      index,
      label: step.label,
      call: step.kind === 'check' ? 'check' : step.call,
      errno,
      ...(step.pointer === undefined ? {} : { pointer: step.pointer }),
      ...(step.purpose === undefined ? {} : { purpose: step.purpose }),
    },
  });
}

/** What a failure report means that init has sent while it executed this packet of the program. */
export function reportedFailure(program: Program, packet: Packet, report: Buffer): TsrunError {
  if (report.length !== REPLY_SIZE || report.readBigUInt64LE(0) !== TAG_FAILURE)
    return new TsrunError('init', `${program.name}: init sent ${report.length} bytes that are no failure report`);
  const address = Number(report.readBigUInt64LE(OFFSETS.reportAddress));
  const result = Number(report.readBigInt64LE(OFFSETS.reportResult));
  return stepFailure(program, stepOfFailure(packet, address), result);
}

/** Init has ended, or left the conversation, where it had to answer. */
export function initGone(program: Program, cause?: unknown): TsrunError {
  return new TsrunError('init', `${program.name}: the init process is gone`, { errno: 'EPIPE', cause });
}
