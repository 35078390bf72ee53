import type { ChildProcessWithoutNullStreams, spawn, SpawnOptionsWithoutStdio } from 'node:child_process';
import { statSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { Hook } from '../../spec/generated/config.ts';
import type { State } from '../../spec/generated/state.ts';
import { hasErrno } from '../../sys/errno.ts';
import { currentInterruption, onInterruption } from '../../sys/events/interruption.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { startWithOpenFiles } from '../../sys/process/open-files.ts';
import { remedies } from '../../util/remedies.ts';
import { wording } from '../../util/wording.ts';
import { HookOutput } from './output.ts';
import type { Caller, Runtime } from '../caller/caller.ts';

/** The hooks that run in the runtime's namespaces, as its children (config.md, "POSIX-platform Hooks"). */
export type RuntimeHookKind = 'prestart' | 'createRuntime' | 'poststart' | 'poststop';

/** Of whoever asked: the environment of hooks without one of their own, and their limit of open files. */
export type HookRuntime = Pick<Runtime, 'log'> & { readonly caller: Pick<Caller, 'environment' | 'openFiles'> };

/** What the hooks in the runtime's namespaces have in common. */
export interface HookSurroundings {
  /** The working directory: the bundle, or the root directory where that is gone. Absolute. */
  readonly directory: string;
  readonly runtime: HookRuntime;
}

/**
 * Runs the hooks of one kind in the runtime's namespaces, in their order, each with the state on its standard input.
 *
 * config.md, "POSIX-platform Hooks". Errors: `hook` for the first that fails, with what it printed.
 */
export async function runHooks(
  kind: RuntimeHookKind,
  hooks: readonly Hook[] | undefined,
  state: State,
  surroundings: HookSurroundings,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) await runHook(hook, { kind, index, state, surroundings });
}

/** Which hook it is, and what it gets. */
export interface HookCall {
  readonly kind: RuntimeHookKind;
  readonly index: number;
  readonly state: State;
  readonly surroundings: HookSurroundings;
}

/** Runs one hook of several. Errors: `hook`, with its number and with what it printed. */
export async function runHook(hook: Hook, { kind, index, state, surroundings }: HookCall): Promise<void> {
  const { directory, runtime } = surroundings;
  const { log } = runtime;
  log.debug(`run ${kind} hook #${index}: ${JSON.stringify(hook.path)}`);
  // Most containers have no hooks; the module is loaded for those that do.
  const { spawn: spawnProcess } = await import('node:child_process');
  using output = new HookOutput(state.annotations, log);
  const env = hook.env === undefined ? { ...runtime.caller.environment } : environment(hook.env);
  const cwd = isDirectory(directory) ? directory : '/';
  const text = JSON.stringify(state);
  const title = wording.hookFailed(kind, index);
  const [argv0 = hook.path, ...args] = hook.args ?? [];
  const talk = (command: Command): Promise<void> =>
    talkWithChild(() => spawnLimited(spawnProcess, runtime.caller.openFiles, command, { cwd, env }), {
      hook,
      state: text,
      title,
      output,
    });
  try {
    await talk({ path: hook.path, argv0, args });
  } catch (error) {
    if (!hasErrno(error, 'ENOEXEC')) throw error;
    // A script without `#!`: execvp(3) has the shell run it. Node calls that function; the executable's engine does not.
    await talk({ path: SHELL, argv0: SHELL, args: [hook.path, ...args] });
  }
}

const SHELL = '/bin/sh';

interface Command {
  readonly path: string;
  readonly argv0: string;
  readonly args: readonly string[];
}

function isDirectory(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
}

interface HookRun {
  readonly hook: Hook;
  readonly state: string;
  readonly title: string;
  readonly output: HookOutput;
}

type Start = () => ChildProcessWithoutNullStreams;

function talkWithChild(start: Start, { hook, state, title, output }: HookRun): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const hint = hasErrno(cause, 'EACCES') ? remedies.hookExecute : undefined;
      reject(TsrunError.of('hook', `${title}: ${JSON.stringify(hook.path)}`, cause, { hint }));
    };
    let child: ChildProcessWithoutNullStreams;
    try {
      child = start();
    } catch (cause) {
      fail(cause);
      return;
    }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (part: Buffer) => {
        output.take(name, part);
      });
    }
    let timedOut = false;
    const timeoutMs = (hook.timeout ?? 0) * 1000;
    const end = (): void => {
      child.kill('SIGKILL');
      // A grandchild may keep the pipes open for ever; its output no longer matters.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const expire = (): void => {
      timedOut = true;
      end();
    };
    const limits = [onInterruption(end), ...(timeoutMs > 0 ? [callAfter(timeoutMs, expire)] : [])];
    const interruption = currentInterruption();
    const release = (): void => {
      for (const limit of limits) limit[Symbol.dispose]();
    };
    child.on('error', (cause) => {
      release();
      fail(cause);
    });
    child.on('close', (code, signal) => {
      release();
      if (interruption?.aborted === true) reject(interruption.reason as Error);
      else if (code === 0 && !timedOut) resolve();
      else
        reject(
          new TsrunError('hook', `${title}: ${describeEnd({ code, signal, timedOut, hook })}, ${output.describe()}`, {
            hint: timedOut ? remedies.hookTimeout : undefined,
          }),
        );
    });
    // A hook need not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(state);
  });
}

/** Starts a hook with the caller's limit of open files. */
function spawnLimited(
  spawnProcess: typeof spawn,
  openFiles: Caller['openFiles'],
  { path, argv0, args }: Command,
  surroundings: Pick<SpawnOptionsWithoutStdio, 'cwd' | 'env'>,
): ChildProcessWithoutNullStreams {
  const options = { argv0, ...surroundings };
  if (openFiles === undefined) return spawnProcess(path, args, options);
  return startWithOpenFiles(openFiles, () => spawnProcess(path, args, options));
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
