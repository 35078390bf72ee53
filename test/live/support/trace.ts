/** A step as `explain --json` shows it. */
export interface PlanStep {
  readonly index: number;
  readonly label: string;
  readonly call?: string;
  readonly operands?: readonly string[];
  readonly skip?: number;
  readonly if?: string;
}

/** Number of the sync pipe in init, when no descriptors are preserved. */
const SYNC_FD = 3;

export interface TracedCall {
  readonly pid: number;
  readonly name: string;
  readonly args: string;
}

/**
 * The system calls of the init processes in a log of `strace -f`: from the execve of the memfd to that of the program, without
 * those of the interpreter itself, which reads packets and writes replies on the sync pipe.
 */
export function readTrace(log: string): TracedCall[] {
  const unfinished = new Map<number, string>();
  const isInit = new Set<number>();
  const calls: TracedCall[] = [];
  for (const line of log.split('\n')) {
    const match = /^(\d+) +(.*)$/.exec(line);
    if (match === null) continue;
    const pid = Number(match[1]);
    let text = match[2] ?? '';
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(text);
    if (resumed !== null) {
      text = `${unfinished.get(pid) ?? ''}${resumed[2] ?? ''}`;
      unfinished.delete(pid);
      // A call that began before others ended is told at its beginning already.
      if (isInit.has(pid)) continue;
    } else if (text.endsWith('<unfinished ...>')) {
      text = text.slice(0, -'<unfinished ...>'.length).trimEnd();
      unfinished.set(pid, text);
      if (!isInit.has(pid)) continue;
    }
    const call = /^(\w+)\((.*)$/.exec(text);
    if (call === null) continue;
    const [, name = '', args = ''] = call;
    if (!isInit.has(pid)) {
      if (name === 'execve' && args.startsWith('"/proc/self/fd/')) isInit.add(pid);
      continue;
    }
    if (name === 'clone3') {
      // The new process has the same pid namespace of strace: its number is in the result, maybe of another line.
      for (const other of childrenOf(log, pid)) isInit.add(other);
    }
    // The interpreter fetches its next packet.
    if (name === 'read' && args.startsWith(`${SYNC_FD},`)) continue;
    calls.push({ pid, name, args });
    if (name === 'execve') isInit.delete(pid);
  }
  return calls;
}

function childrenOf(log: string, pid: number): number[] {
  const pattern = new RegExp(`^${pid} +(?:clone3\\(.*|<\\.\\.\\. clone3 resumed>.*) = (\\d+)`, 'gm');
  return [...log.matchAll(pattern)].map((match) => Number(match[1]));
}

export interface Comparison {
  /** Calls that the plan does not have at their place, one line each. */
  readonly problems: readonly string[];
  readonly executed: number;
  readonly planned: number;
}

/**
 * Holds every call that was made against the plan: each is the next step, and steps are left out only where a check skips them.
 *
 * Which way a check goes is not known here, so that a process is at a set of places of the plan at once. The process that clones
 * and the one that is cloned each follow the plan, the latter from the clone on.
 */
export function comparePlan(calls: readonly TracedCall[], plan: readonly PlanStep[]): Comparison {
  const problems: string[] = [];
  const pids = [...new Set(calls.map(({ pid }) => pid))];
  const clone = plan.findIndex(({ call }) => call === 'clone3');
  for (const [index, pid] of pids.entries()) {
    let places = reach(plan, [index === 0 ? 0 : clone + 1]);
    for (const call of calls.filter((other) => other.pid === pid)) {
      const matches = [...places].filter((place) => isCall(plan[place], call));
      if (matches.length === 0) {
        const wanted = [...places].map((place) => describeStep(plan[place])).join(' or ');
        problems.push(`${call.name}(${call.args.slice(0, 200)} where the plan has ${wanted}`);
        break;
      }
      places = reach(
        plan,
        matches.map((place) => place + 1),
      );
      // What stands behind it is for one that fails.
      if (call.name === 'execve') places.add(plan.length);
    }
    const isLast = index === pids.length - 1;
    if (isLast && problems.length === 0 && !places.has(plan.length))
      problems.push('the process ends before the plan does');
  }
  return { problems, executed: calls.length, planned: plan.filter(({ call }) => call !== undefined).length };
}

/** The calls that may come next, and `plan.length` for its end, from places in the plan: checks go either way. */
function reach(plan: readonly PlanStep[], from: readonly number[]): Set<number> {
  const found = new Set<number>();
  const seen = new Set<number>();
  const open = [...from];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (seen.has(place)) continue;
    seen.add(place);
    const step = plan[place];
    if (step === undefined || step.call !== undefined) {
      found.add(place);
      continue;
    }
    open.push(place + 1);
    if (step.skip !== undefined) open.push(place + 1 + step.skip);
  }
  return found;
}

/** The same call with the same texts. What the kernel hands out, such as descriptors, the plan only has names for. */
function isCall(step: PlanStep | undefined, { name, args }: TracedCall): boolean {
  if (step?.call !== name) return false;
  const texts = (step.operands ?? []).filter((operand) => /^"[ -~]*"$/.test(operand));
  return texts.every((text) => args.includes(text));
}

function describeStep(step: PlanStep | undefined): string {
  return step === undefined
    ? 'its end'
    : `${step.call ?? 'a check'}(${(step.operands ?? []).join(', ')}) # ${step.label}`;
}
