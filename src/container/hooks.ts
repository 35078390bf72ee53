import type { ChildProcessWithoutNullStreams, spawn, SpawnOptionsWithoutStdio } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { Hook } from '../spec/generated/config.ts';
import { RLIMIT_NOFILE, setRlimit, withSoftLimit } from '../sys/prlimit.ts';
import type { State } from '../spec/generated/state.ts';
import { HookOutput } from './hook-output.ts';
import type { Runtime } from './runtime.ts';
import { words } from '../util/words.ts';

export type RuntimeHookKind = 'prestart' | 'createRuntime' | 'poststart' | 'poststop';

/**
 * Runs the hooks of one kind in the runtime's namespaces, in their order, each with the state on its standard input.
 *
 * config.md, "POSIX-platform Hooks". Errors: `hook` for the first that fails, with what it printed.
 */
export async function runHooks(
  kind: RuntimeHookKind,
  hooks: readonly Hook[] | undefined,
  state: State,
  { log, openFiles }: Pick<Runtime, 'log' | 'openFiles'>,
): Promise<void> {
  if (hooks === undefined || hooks.length === 0) return;
  const text = JSON.stringify(state);
  // Most containers have no hooks; the module is loaded for those that do.
  const { spawn: spawnProcess } = await import('node:child_process');
  for (const [index, hook] of hooks.entries()) {
    log.debug(`run ${kind} hook #${index}: ${JSON.stringify(hook.path)}`);
    using output = new HookOutput(state.annotations, log);
    await runHook(spawnProcess, hook, { state: text, title: words.hookFailed(kind, index), output, openFiles });
  }
}

interface HookRun {
  readonly state: string;
  readonly title: string;
  readonly output: HookOutput;
  readonly openFiles: Runtime['openFiles'];
}

function runHook(spawnProcess: typeof spawn, hook: Hook, { state, title, output, openFiles }: HookRun): Promise<void> {
  const [argv0 = hook.path, ...args] = hook.args ?? [];
  return new Promise((resolve, reject) => {
    const child = spawnLimited(spawnProcess, openFiles, hook.path, args, {
      argv0,
      // Without an environment of its own a hook gets the runtime's, as with runc.
      ...(hook.env === undefined ? {} : { env: environment(hook.env) }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (part: Buffer) => {
        output.take(name, part);
      });
    }
    let timedOut = false;
    const timeoutMs = (hook.timeout ?? 0) * 1000;
    const timer = timeoutMs > 0 ? setTimeout(expire, timeoutMs) : undefined;
    function expire(): void {
      timedOut = true;
      child.kill('SIGKILL');
      // A grandchild may keep the pipes open for ever; its output no longer matters.
      child.stdout.destroy();
      child.stderr.destroy();
    }
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new TsrunError('hook', `${title}: ${JSON.stringify(hook.path)}: ${cause.message}`, { cause }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0 && !timedOut) resolve();
      else
        reject(
          new TsrunError('hook', `${title}: ${describeEnd({ code, signal, timedOut, hook })}, ${output.describe()}`),
        );
    });
    // A hook need not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(state);
  });
}

/** What spawn() itself opens has to fit below the limit. */
const SPAWN_DESCRIPTORS = 16;

/**
 * Starts a hook with the caller's limit of open files. spawn() is over when the program runs: nothing else happens here with that limit.
 * Where it is too low for spawn() itself, the hook gets it a moment later.
 */
function spawnLimited(
  spawnProcess: typeof spawn,
  openFiles: Runtime['openFiles'],
  ...[path, args, options]: [path: string, args: string[], options: SpawnOptionsWithoutStdio]
): ChildProcessWithoutNullStreams {
  if (openFiles === undefined) return spawnProcess(path, args, options);
  const least = BigInt(readdirSync('/proc/self/fd').length + SPAWN_DESCRIPTORS);
  const soft = openFiles.soft < least ? least : openFiles.soft;
  const child = withSoftLimit({ resource: RLIMIT_NOFILE, soft }, () => spawnProcess(path, args, options));
  if (soft !== openFiles.soft && child.pid !== undefined) {
    setRlimit(child.pid, { resource: RLIMIT_NOFILE, ...openFiles });
  }
  return child;
}

/** How a hook ended, in the words of runc. */
export function describeEnd(end: {
  code: number | null;
  signal: string | null;
  timedOut: boolean;
  hook: Hook;
}): string {
  if (end.timedOut) return `timed out after ${end.hook.timeout ?? 0} s`;
  return end.code === null ? `killed by ${end.signal ?? 'a signal'}` : `exit status ${end.code}`;
}

function environment(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const split = entry.indexOf('=');
      return [entry.slice(0, split), entry.slice(split + 1)];
    }),
  );
}
