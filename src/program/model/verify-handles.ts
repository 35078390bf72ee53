import { describePlace } from '../build.ts';
import { CALLS, type CallInfo } from '../calls.ts';
import { visitTree } from '../items.ts';
import type { Block, CallStep, CheckStep, Operand, Place, Region, Step } from '../step.ts';
import { conditionKey, keyOf, PathState, Spots, type Held } from './path-state.ts';

/** What a region holds behind a program: a descriptor, the number of one that was closed, or another value. */
export type Holding = 'open' | 'closed' | 'value';

/** What `followHandles` has found. */
export interface HandleFlow {
  readonly flaws: readonly string[];
  /** The regions that are not of the stack, and that hold or held a descriptor on every way to the end. */
  readonly behind: ReadonlyMap<Region, 'open' | 'closed'>;
}

/** More ways than this to one step become one, of which only that is known which they have in common. */
const MAX_WAYS = 256;

/**
 * Follows every way through a program, over its checks and back to what they repeat, and finds the uses of a handle that is closed on
 * one of them, what overwrites an open one, and slots of the stack whose handle is still open at the end.
 *
 * A way ends with a failure, which ends init. What a check has found out holds until the bytes that it looked at are written. Nothing
 * is assumed of bytes that no step of the program has written.
 */
export function followHandles(steps: readonly Step[], known: ReadonlyMap<Region, Holding> = new Map()): HandleFlow {
  return new Flow(steps).run(known);
}

interface Way {
  readonly to: number;
  readonly state: PathState;
}

class Flow {
  readonly #steps: readonly Step[];
  readonly #spots = new Spots();
  /** Key of a place or a condition -> the last step that looks at it. */
  readonly #lastLooks: ReadonlyMap<string, number>;
  readonly #flaws = new Map<string, number>();

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    this.#lastLooks = lastLooks(steps, this.#spots);
  }

  run(known: ReadonlyMap<Region, Holding>): HandleFlow {
    const seen = this.#steps.map(() => new Set<string>());
    const ends = new Map<string, PathState>();
    const queues = this.#steps.map((): PathState[] => []);
    queues[0]?.push(this.#start(known));
    for (let index = 0; index < queues.length; index++) {
      for (const { to, state } of joinWays(queues[index] ?? []).flatMap((way) => this.#step(index, way))) {
        const pruned = this.#prune(state, to);
        if (to >= queues.length) ends.set(pruned.key, pruned);
        else if (to >= 0 && seen[to]?.has(pruned.key) === false) {
          seen[to].add(pruned.key);
          queues[to]?.push(pruned);
        }
      }
      queues[index] = [];
      const earlier = queues.findIndex((queue, at) => at < index && queue.length > 0);
      if (earlier >= 0) index = earlier - 1;
    }
    return this.#finish([...ends.values()], this.#steps.length === 0 ? known : new Map());
  }

  #start(known: ReadonlyMap<Region, Holding>): PathState {
    let state = new PathState();
    for (const [region, holding] of known)
      if (holding !== 'value')
        state = state.written(this.#spots.of(region), 8, { state: holding, name: region.name, region, step: -1 });
    return state;
  }

  /** Long-lived regions that are closed stay: a later program might use them. */
  #prune(state: PathState, index: number): PathState {
    return state.pruned((key, held) => {
      const isKept = held?.state === 'closed' && held.region !== undefined && held.region.isScoped !== true;
      return isKept || (this.#lastLooks.get(key) ?? -1) >= index;
    });
  }

  #finish(ends: readonly PathState[], unchanged: ReadonlyMap<Region, Holding>): HandleFlow {
    const behind = new Map<Region, 'open' | 'closed'>();
    for (const [region, holding] of unchanged) if (holding !== 'value') behind.set(region, holding);
    for (const end of ends)
      for (const { state, name, region, step, spot } of end.held.values()) {
        if (region?.isScoped === true && state === 'open') this.#note(step, `leaves ${name} open`);
        else if (region !== undefined && state !== 'none' && ends.every((other) => other.at(spot)?.state === state))
          behind.set(region, state);
      }
    const flaws = [...this.#flaws].sort(([, a], [, b]) => a - b).map(([flaw]) => flaw);
    return { flaws, behind };
  }

  #note(index: number, flaw: string): void {
    this.#flaws.set(`step ${index} (${this.#steps[index]?.label ?? ''}): ${flaw}`, index);
  }

  #step(index: number, state: PathState): Way[] {
    const step = this.#steps[index];
    if (step === undefined) return [];
    return step.kind === 'check' ? this.#check(step, index, state) : this.#call(step, index, state);
  }

  #check({ condition, then }: CheckStep, index: number, state: PathState): Way[] {
    const spot = this.#spots.of(condition.value);
    const found = state.isEqual(spot, condition);
    return (found === undefined ? [true, false] : [found]).flatMap((isEqual): Way[] => {
      const learned = state.learned(spot, condition, isEqual);
      if (isEqual === condition.invert) return [{ to: index + 1, state: learned }];
      if ('skip' in then) return [{ to: index + 1 + then.skip, state: learned }];
      return 'repeat' in then ? [{ to: index - then.repeat, state: learned }] : [];
    });
  }

  #call(step: CallStep, index: number, before: PathState): Way[] {
    const info: CallInfo | undefined = Object.hasOwn(CALLS, step.call) ? CALLS[step.call] : undefined;
    if (info === undefined) return [];
    this.#findClosed(step, info, index, before);
    const state = this.#effect(step, info, index, before);
    const made = madeBy(step, info);
    const isAccepting = step.accept === 'any' || (step.accept ?? []).length > 0;
    const ways: PathState[] = [];
    if (step.call !== 'execve' && step.call !== 'exit_group')
      ways.push(
        this.#write(step, index, made === 'result' ? 'open' : undefined, this.#through(step, info, index, state)),
      );
    if (isAccepting) ways.push(this.#write(step, index, made === 'result' ? 'none' : undefined, state));
    return ways.map((way) => ({ to: index + 1, state: way }));
  }

  #findClosed({ operands }: CallStep, { parameters }: CallInfo, index: number, state: PathState): void {
    operands.forEach((operand, position) => {
      if (parameters[position]?.kind !== 'fd' || !isPlace(operand)) return;
      if (state.at(this.#spots.of(operand))?.state === 'closed')
        this.#note(index, `uses ${describePlace(operand)}, which is closed`);
    });
  }

  /** What the call does beside making descriptors. */
  #effect({ call, operands }: CallStep, { parameters }: CallInfo, index: number, before: PathState): PathState {
    const [first] = operands;
    if (call === 'close' && isPlace(first)) return before.closed(this.#spots.of(first));
    // Which numbers are among them nobody can tell.
    if (call === 'close_range')
      return [...before.held.values()].reduce(
        (state, { spot, state: held }) => (held === 'open' ? state.written(spot, 8) : state),
        before,
      );
    return operands.reduce<PathState>((state, operand, position) => {
      if (parameters[position]?.isWritten !== true || typeof operand !== 'object') return state;
      if (operand.kind === 'address' && operand.of.kind === 'region')
        return this.#overwrite({ ...operand, kind: 'place' }, operand.of.size - operand.offset, index, state);
      const block = operand.kind === 'address' ? operand.of : operand;
      return block.kind === 'block' ? this.#forget(block, state) : state;
    }, before);
  }

  #forget(block: Block, before: PathState): PathState {
    let state = before;
    visitTree(block, (part) => {
      state = state.forgotten(this.#spots.baseOf(part));
      if (part.links.some(({ to }) => to.kind === 'region')) state = state.forgotten(0);
    });
    return state;
  }

  #overwrite(place: Region | Place, size: number, index: number, state: PathState, held?: Held): PathState {
    const spot = this.#spots.of(place);
    for (const { state: old, name } of state.within(spot, size))
      if (old === 'open') this.#note(index, `overwrites ${name} while it is open`);
    return state.written(spot, size, held);
  }

  #write({ result }: CallStep, index: number, state: Held['state'] | undefined, before: PathState): PathState {
    if (result === undefined) return before;
    return this.#overwrite(result, 8, index, before, state === undefined ? undefined : heldAt(result, state, index));
  }

  /** The descriptors that the kernel writes where an argument points. */
  #through(step: CallStep, info: CallInfo, index: number, before: PathState): PathState {
    const place = madeBy(step, info);
    if (place === undefined || place === 'result') return before;
    return Array.from({ length: info.makes?.count ?? 0 }, (_, number) => number * 4).reduce((state, offset) => {
      const end: Place = { ...place, offset: place.offset + offset };
      return this.#overwrite(end, 4, index, state, heldAt(end, 'open', index));
    }, before);
  }
}

function heldAt(place: Region | Place, state: Held['state'], step: number): Held {
  const of = place.kind === 'region' ? place : place.of;
  return { state, name: describePlace(place), region: of.kind === 'region' ? of : undefined, step };
}

function isPlace(operand: Operand | undefined): operand is Region | Place {
  return typeof operand === 'object' && (operand.kind === 'region' || operand.kind === 'place');
}

/** Where the descriptors go that a call makes with these operands. */
function madeBy({ operands }: CallStep, { makes }: CallInfo): 'result' | Place | undefined {
  if (makes === undefined) return undefined;
  const { through, when } = makes;
  if (when !== undefined) {
    const value = operands[when.argument];
    if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
    const masked = when.isFlag === true ? BigInt(value) & BigInt(when.value) : BigInt(value);
    if (masked !== BigInt(when.value)) return undefined;
  }
  if (through === undefined) return 'result';
  const pointer = operands[through];
  if (typeof pointer !== 'object') return undefined;
  if (pointer.kind === 'block') return { kind: 'place', of: pointer, offset: 0 };
  return pointer.kind === 'address' ? { ...pointer, kind: 'place' } : undefined;
}

function joinWays(ways: readonly PathState[]): readonly PathState[] {
  if (ways.length <= MAX_WAYS) return ways;
  return [ways.reduce((all, way) => all.joined(way))];
}

/** What is looked at inside a repetition may be looked at again until its end. */
function lastLooks(steps: readonly Step[], spots: Spots): Map<string, number> {
  const looks = new Map<string, number>();
  steps.forEach((step, index) => {
    if (step.kind === 'call') {
      for (const operand of step.operands) if (isPlace(operand)) looks.set(keyOf(spots.of(operand)), index);
      return;
    }
    const spot = spots.of(step.condition.value);
    looks.set(keyOf(spot), index).set(conditionKey(spot, step.condition.mask), index);
  });
  steps.forEach((step, index) => {
    if (step.kind !== 'check' || !('repeat' in step.then)) return;
    const first = index - step.then.repeat;
    for (const [key, last] of looks) if (last >= first && last < index) looks.set(key, index);
  });
  return looks;
}
