import { prepareInvocation, type Invocation } from './cli/invocation.ts';
import { operations, type Operations, type PlannerOperations } from './cli/operations.ts';
import { takeLaunched, type Launched } from './cli/launched.ts';
import { processSurroundings, requireExactArguments } from './cli/surroundings.ts';
import { reportFailure } from './cli/report-failure.ts';
import { isTerminal, leaveTerminals } from './cli/terminal.ts';
import { writeText } from './cli/write-text.ts';

/** Each loaded when it is called: a planner runs the whole command line, which knows nothing of it. */
const plannerOperations: PlannerOperations = {
  async servePlanner(runtime, options) {
    const { ensurePlannerEngine } = await import('./planner/engine.ts');
    ensurePlannerEngine(runtime, process.argv.slice(1));
    const { servePlanner } = await import('./planner/server.ts');
    await servePlanner(runtime, options);
  },
  async askPlanner({ environment = {} }, question) {
    const [{ askPlanner }, { plannerDirectory }] = await Promise.all([
      import('./planner/control.ts'),
      import('./planner/directory.ts'),
    ]);
    return askPlanner(plannerDirectory(environment), question);
  },
};

/** What a planner has begun: it may stand still, and is then as good as ended. */
async function takeUp(all: Operations, { will, planner, blocked }: Launched): Promise<Operations> {
  const [{ leavePlanner }, { afterPlanner }] = await Promise.all([
    import('./own-process/planner-left.ts'),
    import('./cli/after-planner.ts'),
  ]);
  if (planner !== undefined) await leavePlanner(planner);
  return will === undefined ? all : afterPlanner(all, { ...will, blocked: blocked ?? 0n });
}

// Whatever handles are still open: everything was written synchronously, and a caller waits for this exit.
void main(process.argv.slice(2)).then((code) => {
  leaveTerminals();
  process.exit(code);
});

async function main(args: readonly string[]): Promise<number> {
  let invocation: Invocation | undefined;
  try {
    const launched = takeLaunchedOnce();
    const all = { ...operations, ...plannerOperations };
    requireExactArguments(args);
    invocation = await prepareInvocation(args, {
      surroundings: processSurroundings(launched),
      operations: launched?.will === undefined ? all : await takeUp(all, launched),
      writeStderr,
      isTerminal: isTerminal(2),
    });
    return await invocation.run();
  } catch (failure) {
    reportFailure(failure, { log: invocation?.log, writeStderr, isTerminal: isTerminal(2) });
    return invocation?.exitCodeOf(failure) ?? 1;
  }
}

/** Where a script of the executable lacks something, another takes over from the start: what the launcher left was taken already. */
function takeLaunchedOnce(): Launched | undefined {
  const scripts = globalThis as { tsrunTaken?: { readonly launched: Launched | undefined } };
  scripts.tsrunTaken ??= { launched: takeLaunched(process.env) };
  return scripts.tsrunTaken.launched;
}

function writeStderr(text: string): void {
  try {
    writeText(2, text);
  } catch {
    // Standard error is closed or full; the exit code still tells.
  }
}
