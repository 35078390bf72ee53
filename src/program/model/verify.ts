import { ERRNO } from '../../util/errno.ts';
import { describePlace } from '../build.ts';
import { CALLS, type ArgumentKind, type CallName, type KindByName } from '../calls.ts';
import { ACCEPT_SLOTS, ARGUMENT_COUNT, LAYOUT, REPORT_SIZE, TRIES_MAX } from '../layout.ts';
import type { Block, CallStep, CheckStep, Operand, Place, Program, Region, Repetition, Step } from '../step.ts';
import { followHandles, type Holding } from './verify-handles.ts';
import { verifyWords, writtenRegions } from './verify-words.ts';

/** What is known of init's memory when the program begins. */
export interface VerifyOptions {
  /**
   * Regions that earlier programs of the conversation have written, as `knownBehind` tells. With this, reading a region that nothing
   * has written is a flaw; without it, nobody knows.
   */
  readonly known?: ReadonlyMap<Region, Holding>;
}

/** The calls that send an answer. */
const REPLIES: ReadonlySet<string> = new Set<CallName>(['write', 'writev', 'sendto', 'sendmsg']);
/** The calls behind which this process is another program. */
const ENDS: ReadonlySet<string> = new Set<CallName>(['execve', 'execveat']);
/** The calls that may end a program that replies: after them nothing can fail, so there are never two answers. */
const LAST_CALLS: ReadonlySet<string> = new Set([...REPLIES, ...ENDS, 'exit_group']);

/**
 * The flaws of a program, each a clause that starts with the step it is in; an empty list for a program that may be sent.
 * They are bugs of a planner, never something that a configuration can cause.
 */
export function verify(program: Program, options: VerifyOptions = {}): readonly string[] {
  return [...verifyForm(program, options), ...followHandles(program.steps, options.known).flaws];
}

/** The flaws of each step by itself, of the words and of the answer; not those of handles, which takes following every way. */
export function verifyForm(program: Program, { known }: VerifyOptions = {}): readonly string[] {
  const flaws: string[] = [];
  program.steps.forEach((step, index) => {
    const note = (flaw: string): void => void flaws.push(`step ${index} (${step.label}): ${flaw}`);
    if (step.label === '') note('it has no label');
    if (step.kind === 'call') verifyCall(step, note);
    else verifyCheck(step, { index, steps: program.steps, note });
  });
  flaws.push(...verifyWords(program.steps, known === undefined ? undefined : new Set(known.keys())));
  if (program.replies) flaws.push(...verifyReply(program.steps));
  return flaws;
}

/** What is known behind a program of a conversation, for `verify` of the next: the regions of both, but not those of the stack. */
export function knownBehind(program: Program, known: ReadonlyMap<Region, Holding>): Map<Region, Holding> {
  const { behind } = followHandles(program.steps, known);
  const regions = [...new Set([...known.keys(), ...writtenRegions(program.steps)])];
  return new Map(
    regions
      .filter(({ isScoped }) => isScoped !== true)
      .map((region): [Region, Holding] => [region, behind.get(region) ?? 'value']),
  );
}

/** Throws a RangeError that lists the flaws of a program. */
export function assertProgram(program: Program, options: VerifyOptions = {}): void {
  const flaws = verify(program, options);
  if (flaws.length > 0) throw new RangeError(`bug: program ${JSON.stringify(program.name)}: ${flaws.join('; ')}`);
}

type Note = (flaw: string) => void;

function verifyCall(step: CallStep, note: Note): void {
  if (!Object.hasOwn(CALLS, step.call)) {
    note(`the call ${JSON.stringify(step.call)} is unknown`);
    return;
  }
  const { parameters } = CALLS[step.call];
  const needed = parameters.filter(({ isOptional }) => !isOptional).length;
  const count = step.operands.length;
  if (count < needed) note(`${step.call} has ${count} operands, at least ${needed} wanted`);
  if (count > parameters.length) note(`${step.call} has ${count} operands, at most ${parameters.length} wanted`);
  if (count > ARGUMENT_COUNT) note(`${count} operands do not fit into an operation, at most ${ARGUMENT_COUNT} do`);
  step.operands.forEach((operand, index) => {
    verifyOperand(operand, parameters[index]?.kind, note);
  });
  if (step.result !== undefined) verifyPlace(step.result, note);
  if (step.accept !== undefined && step.accept !== 'any') verifyAccept(step.accept, note);
}

function verifyAccept(accept: readonly string[], note: Note): void {
  if (accept.length > ACCEPT_SLOTS) note(`it accepts ${accept.length} errnos, at most ${ACCEPT_SLOTS} fit`);
  for (const errno of accept) if (!Object.hasOwn(ERRNO, errno)) note(`the errno ${JSON.stringify(errno)} is unknown`);
}

function verifyOperand(operand: Operand, kind: ArgumentKind | KindByName | undefined, note: Note): void {
  if (kind === 'text') verifyText(operand, note);
  if (kind === 'fd' && isPointer(operand)) note(`the address of ${describeOperand(operand)} is passed as a descriptor`);
  if (typeof operand === 'number' || typeof operand === 'bigint') verifyNumber(operand, note);
  else if (typeof operand === 'string') {
    if (operand.includes('\0')) note(`the text ${JSON.stringify(operand)} has a NUL`);
  } else verifyObject(operand, note);
}

/** Text is a pointer: a string, a block, an address, or NULL. */
function verifyText(operand: Operand, note: Note): void {
  const isNumber = typeof operand === 'number' || typeof operand === 'bigint';
  if (isNumber && BigInt(operand) !== 0n) note(`the number ${operand} is passed as text`);
  if (typeof operand === 'object' && (operand.kind === 'region' || operand.kind === 'place'))
    note(`the value of ${describePlace(operand)} is passed as text`);
}

function isPointer(operand: Operand): boolean {
  return (
    typeof operand === 'string' ||
    (typeof operand === 'object' && (operand.kind === 'block' || operand.kind === 'address'))
  );
}

function describeOperand(operand: Operand): string {
  if (typeof operand === 'string') return JSON.stringify(operand);
  if (typeof operand !== 'object') return `${operand}`;
  if (operand.kind === 'block') return operand.text;
  return describePlace(operand.kind === 'address' ? { ...operand, kind: 'place' } : operand);
}

function verifyNumber(value: number | bigint, note: Note): void {
  const fits =
    typeof value === 'number'
      ? Number.isSafeInteger(value)
      : BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value;
  if (!fits) note(`the number ${value} is not an integer of 64 bits`);
}

function verifyObject(operand: Exclude<Operand, number | bigint | string>, note: Note): void {
  switch (operand.kind) {
    case 'region': {
      verifyRegion(operand, note);
      return;
    }
    case 'block': {
      verifyBlock(operand, note);
      return;
    }
    case 'place': {
      verifyPlace(operand, note);
      return;
    }
    case 'address': {
      const { of, offset } = operand;
      const size = of.kind === 'region' ? of.size : of.bytes.length;
      if (!Number.isInteger(offset) || offset < 0 || offset >= Math.max(size, 1))
        note(`the address ${describeOperand(operand)} is outside its ${size} bytes`);
      verifyTarget(of, note);
      return;
    }
  }
}

function verifyTarget(target: Region | Block, note: Note): void {
  if (target.kind === 'region') verifyRegion(target, note);
  else verifyBlock(target, note);
}

function verifyRegion({ name, offset, size }: Region, note: Note): void {
  if (offset % 8 !== 0 || size % 8 !== 0) note(`${name} is not aligned to 8 bytes`);
  if (offset < REPORT_SIZE) note(`${name} is inside the failure report`);
  if (size <= 0 || offset + size > LAYOUT.memory.size) note(`${name} is outside init's memory`);
}

function verifyBlock(block: Block, note: Note, seen = new Set<Block>()): void {
  if (seen.has(block)) return;
  seen.add(block);
  for (const { at, to } of block.links) {
    if (!Number.isInteger(at) || at < 0 || at + 8 > block.bytes.length)
      note(`a link at ${at} is outside ${block.text}`);
    if (to.kind === 'region') verifyRegion(to, note);
    else verifyBlock(to, note, seen);
  }
}

/** The 8 bytes of a place are inside what they belong to. The fields of kernel structures are aligned to 4 at least. */
function verifyPlace(place: Region | Place, note: Note): void {
  if (place.kind === 'region') {
    verifyRegion(place, note);
    return;
  }
  const { of, offset } = place;
  const size = of.kind === 'region' ? of.size : of.bytes.length;
  if (offset % 4 !== 0) note(`${describePlace(place)} is not aligned to 4 bytes`);
  if (offset < 0 || offset + 8 > size) note(`the 8 bytes of ${describePlace(place)} are outside its ${size} bytes`);
  verifyTarget(of, note);
}

function verifyCheck(
  { condition, then }: CheckStep,
  { index, steps, note }: { index: number; steps: readonly Step[]; note: Note },
): void {
  const { value, mask, wanted } = condition;
  verifyPlace(value, note);
  verifyNumber(mask, note);
  if (typeof wanted === 'object') verifyPlace(wanted, note);
  else {
    verifyNumber(wanted, note);
    if ((BigInt.asUintN(64, wanted) & ~BigInt.asUintN(64, mask)) !== 0n)
      note(`the condition ${JSON.stringify(condition.text)} wants bits outside its mask`);
  }
  if ('fail' in then) {
    if (!Object.hasOwn(ERRNO, then.fail)) note(`the errno ${JSON.stringify(then.fail)} is unknown`);
    if ('repeat' in then) verifyRepetition(then, steps.slice(0, index), note);
  } else {
    const left = steps.length - index - 1;
    if (!Number.isInteger(then.skip) || then.skip < 0) note(`it skips ${then.skip} steps`);
    else if (then.skip > left) note(`it skips ${then.skip} steps, ${left} follow`);
  }
}

/** Calls that are not to happen twice: an answer, another process, the end. */
const ONCE: ReadonlySet<string> = new Set([...LAST_CALLS, 'clone', 'clone3']);

/** Its counter is part of the operation and starts at a constant: with bounds on both, every program ends. */
function verifyRepetition({ repeat, tries }: Repetition, before: readonly Step[], note: Note): void {
  if (!Number.isInteger(repeat) || repeat < 1) note(`it repeats ${repeat} steps`);
  else if (repeat > before.length) note(`it repeats ${repeat} steps, ${before.length} come before`);
  if (!Number.isInteger(tries) || tries < 1 || tries > TRIES_MAX)
    note(`it has ${tries} tries, 1 to ${TRIES_MAX} wanted`);
  for (const step of before.slice(Math.max(before.length - repeat, 0)))
    if (step.kind === 'call' && ONCE.has(step.call) && !isMessage(step))
      note(`it repeats ${step.call} (${step.label})`);
}

/** No answer of a program, which would be a failure where it cannot be sent, but a message to somebody else. */
function isMessage({ call, accept }: CallStep): boolean {
  return call === 'sendmsg' && accept === 'any';
}

function verifyReply(steps: readonly Step[]): string[] {
  const flaws: string[] = [];
  // Calls that accept every errno are no second answer, and may still close what the answer was made of.
  const last = steps.findLast((step) => step.kind === 'check' || step.accept !== 'any' || REPLIES.has(step.call));
  const isReply = (step: Step): boolean => step.kind === 'call' && REPLIES.has(step.call);
  const isEnd = (step: Step): boolean => step.kind === 'call' && ENDS.has(step.call);
  if (!steps.some((step) => isReply(step) || isEnd(step)))
    flaws.push('the program replies, but no step sends an answer');
  else if (last !== undefined && !(last.kind === 'call' && LAST_CALLS.has(last.call)))
    flaws.push(`the program replies, but its last step (${last.label}) comes after the answer`);
  return flaws;
}
