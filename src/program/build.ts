import { utf8 } from '../util/utf8.ts';
import { writeWord } from './bytes.ts';
import type { Errno } from '../util/errno.ts';
import type { CallName } from './calls.ts';
import type { Address, Block, CallStep, CheckStep, Condition, Link, Operand, Place, Region, Step } from './step.ts';

/** Short forms in which planners write steps. They only make objects; nothing is executed. */

/** What a call has beside its name and its operands: `label` alone has to be there. */
export type CallOptions = Omit<CallStep, 'kind' | 'call' | 'operands'>;

/** One system call. */
export function call(name: CallName, operands: readonly Operand[], options: CallOptions): CallStep {
  return { kind: 'call', call: name, operands, ...options };
}

/** The `size` of `skip` is derived: the steps run unless the condition holds. */
export function unless(condition: Condition, steps: readonly Step[], label?: string): Step[] {
  if (steps.length === 0) return [];
  const check: CheckStep = {
    kind: 'check',
    condition,
    then: { skip: steps.length },
    label: label ?? `skip ${steps.length} when ${condition.text}`,
  };
  return [check, ...steps];
}

/** The steps run only when the condition holds. */
export function when(condition: Condition, steps: readonly Step[], label?: string): Step[] {
  return unless(not(condition), steps, label);
}

/** Fails with `errno` when the condition holds. */
export function failWhen(
  condition: Condition,
  errno: Errno,
  options: Omit<CheckStep, 'kind' | 'condition' | 'then'>,
): CheckStep {
  return { kind: 'check', condition, then: { fail: errno }, ...options };
}

/** The bound of a repetition, and the failure at that bound. */
export interface RepeatOptions {
  /** How often the steps are repeated at most. */
  readonly tries: number;
  /** The failure when the condition still holds after that. */
  readonly fail: Errno;
  readonly label: string;
  readonly pointer?: string;
  readonly failure?: string;
}

/** The steps, and again from the first of them as long as the condition holds. */
export function repeatWhile(
  condition: Condition,
  steps: readonly Step[],
  { tries, fail, ...options }: RepeatOptions,
): Step[] {
  const check: CheckStep = { kind: 'check', condition, then: { repeat: steps.length, tries, fail }, ...options };
  return [...steps, check];
}

const ALL_BITS = 0xffff_ffff_ffff_ffffn;
const SIGN_BIT = 1n << 63n;

/** Holds for a result that is an errno: bit 63 is set. */
export function isNegative(value: Region | Place): Condition {
  return { value, mask: SIGN_BIT, wanted: SIGN_BIT, invert: false, text: `${describePlace(value)} < 0` };
}

/** Holds when all eight bytes are zero. */
export function isZero(value: Region | Place): Condition {
  return equals(value, 0n);
}

/** Compares the masked value; the text names the constant where the caller gives one. */
export function equals(
  value: Region | Place,
  wanted: bigint | Region | Place,
  options: { mask?: bigint; text?: string } = {},
): Condition {
  const shown = typeof wanted === 'bigint' ? `${wanted}` : describePlace(wanted);
  const text = options.text ?? `${describePlace(value)} == ${shown}`;
  return { value, mask: options.mask ?? ALL_BITS, wanted, invert: false, text };
}

/** Holds exactly when the other does not; the same comparison, inverted. */
export function not(condition: Condition): Condition {
  return { ...condition, invert: !condition.invert, text: `not (${condition.text})` };
}

/** The 8-byte value at an offset. */
export function at(of: Region | Block, offset: number): Place {
  return { kind: 'place', of, offset };
}

/** The address itself, where a call wants a pointer. */
export function addressOf(of: Region | Block, offset = 0): Address {
  return { kind: 'address', of, offset };
}

/** How a structure prints. A function is called when somebody looks: of most programs nobody prints a word. */
export type Shown = string | (() => string);

class ShownBlock implements Block {
  readonly kind = 'block';
  readonly bytes: Uint8Array;
  readonly links: readonly Link[];
  readonly #shown: Shown;

  constructor(bytes: Uint8Array, shown: Shown, links: readonly Link[]) {
    this.bytes = bytes;
    this.links = links;
    this.#shown = shown;
  }

  get text(): string {
    return typeof this.#shown === 'string' ? this.#shown : this.#shown();
  }
}

/** A structure from its bytes. */
export function block(bytes: Uint8Array, text: Shown, links: readonly Link[] = []): Block {
  return new ShownBlock(bytes, text, links);
}

/** A structure of 8-byte words; a region or block among them becomes its address. */
export function wordBlock(values: readonly (number | bigint | Region | Block)[], text: Shown): Block {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  const links: Link[] = [];
  values.forEach((value, index) => {
    if (typeof value === 'object') links.push({ at: index * 8, to: value });
    else writeWord(view, index * 8, value);
  });
  return block(bytes, text, links);
}

/** A NUL-terminated string as a block, for structures that point to text. */
export function textBlock(text: string): Block {
  return block(utf8(`${text}\0`), () => JSON.stringify(text));
}

/** A NULL-terminated array of pointers to strings: argv and envp of execve(2). */
export function stringArray(values: readonly string[]): Block {
  return wordBlock([...values.map(textBlock), 0], () => JSON.stringify(values));
}

/** How plans print a place: the name of a region or text of a block, and the offset in bytes, as in `stat+24`. */
export function describePlace(value: Region | Place): string {
  if (value.kind === 'region') return value.name;
  const base = value.of.kind === 'region' ? value.of.name : value.of.text;
  return value.offset === 0 ? base : `${base}+${value.offset}`;
}
