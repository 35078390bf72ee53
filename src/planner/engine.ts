import { getPriority, setPriority } from 'node:os';
import { openFile } from '../sys/file.ts';
import { becomeExecutable } from '../sys/process/exec.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { O_CLOEXEC, O_RDONLY } from '../util/constants.ts';

/** Names the process that has the engine of a planner, so that it is made once. */
const VARIABLE = 'TSRUN_PLANNER';

/**
 * Two thirds of the memory, and three quarters of the processor time: most of a command is code that runs once, for which a compiler in
 * a thread beside costs more than it gains, as threads do that collect the little that a command leaves behind.
 */
const NODE_FLAGS = [
  ...['--max-semi-space-size=2', '--v8-pool-size=1', '--single-threaded-gc'],
  ...['--no-opt', '--always-sparkplug', '--no-flush-bytecode'],
  // What is garbage is looked for from 4 MB on, and not only when there are 30.
  '--initial-old-space-size=4',
];
/** Of the executable: the compiler, which the launcher takes from commands that are over before it pays, and one marking thread. */
const BUN_SETTINGS = { BUN_JSC_numberOfGCMarkers: '1' };
/** As a value of nice(2). */
const PRIORITY = -15;
/** What a planner reads of its environment. */
const READ = ['XDG_RUNTIME_DIR', 'LISTEN_PID', 'LISTEN_FDS'];

/**
 * This process becomes the same command on an engine that suits one that stays, unless it is that already. Where that cannot be, it
 * stays as it is: larger, or slower. `script` and its arguments are those of this process.
 */
export function ensurePlannerEngine(
  { environment = {} }: Pick<RuntimeOptions, 'environment'>,
  [script, ...words]: readonly string[],
): void {
  if (environment[VARIABLE] === String(process.pid)) return;
  // Before the engine has threads, each of which has a priority of its own.
  raisePriority();
  const isNode = !('bun' in process.versions);
  const own = isNode
    ? environment
    : { ...BUN_SETTINGS, ...Object.fromEntries(READ.map((name) => [name, environment[name]])) };
  const all: [string, string | undefined][] = Object.entries({ ...own, [VARIABLE]: String(process.pid) });
  // The executable is its own script, by a path that nobody else has.
  const args = isNode ? [...NODE_FLAGS, ...process.execArgv, script ?? '', ...words] : words;
  using engine = openFile('/proc/self/exe', O_RDONLY | O_CLOEXEC);
  becomeExecutable(engine.number, process.argv0, {
    args,
    environment: all.filter(([, value]) => value !== undefined).map(([name, value = '']) => `${name}=${value}`),
  });
}

/**
 * What many wait for at the same time has to have its turn before them: a launcher waits 50 ms for its first word. Nobody else gets the
 * priority, as nobody is started from here.
 */
function raisePriority(): void {
  if (getPriority() !== 0) return;
  try {
    setPriority(PRIORITY);
  } catch {
    // An ordinary user, who may not.
  }
}
